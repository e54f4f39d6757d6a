using Otto.Ipc.Peer;

// The other process of the tests: one verb a run, told on the command line, heard on standard output.

return args switch
{
    ["stream-send", .. var rest] => StreamVerbs.Send(rest),
    ["stream-receive", .. var rest] => StreamVerbs.Receive(rest),
    ["queue-send", .. var rest] => QueueVerbs.Send(rest),
    ["queue-work", .. var rest] => QueueVerbs.Work(rest),
    ["queue-hold", .. var rest] => QueueVerbs.Hold(rest),
    ["queue-keep", .. var rest] => QueueVerbs.Keep(rest),
    ["queue-letters", .. var rest] => QueueVerbs.Letters(rest),
    ["open", .. var rest] => SegmentVerbs.Open(rest),
    ["remove", .. var rest] => SegmentVerbs.Remove(rest),
    ["hostile", .. var rest] => HostileVerbs.Run(rest),
    _ => Usage(args),
};

static int Usage(string[] args)
{
    Console.Error.WriteLine($"no such verb: {string.Join(' ', args)}");
    return 2;
}
