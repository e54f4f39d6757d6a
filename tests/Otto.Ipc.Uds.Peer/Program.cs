using Otto.Ipc.Uds.Peer;
using Otto.Ipc.Uds.Peer.Fuzz;

// The other process of a test: one verb a role. It says "ready" when the test may begin, and ends when its standard input does.

return args switch
{
    ["serve", .. var rest] => ServeVerb.Run(rest),
    ["fuzz", .. var rest] => FuzzVerb.Run(rest),
    ["stream-send", .. var rest] => StreamVerbs.Send(rest),
    ["stream-try", .. var rest] => StreamVerbs.Try(rest),
    ["stream-receive", .. var rest] => StreamVerbs.Receive(rest),
    _ => Unknown(args),
};

static int Unknown(string[] args)
{
    Console.Error.WriteLine($"Otto.Ipc.Uds.Peer: no verb '{string.Join(' ', args)}'");
    return 2;
}
