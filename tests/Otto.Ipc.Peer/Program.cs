using Otto.Ipc.Peer;

// The other process of a test. One verb a role; a group of verbs has a file of its own. It says "ready" when the test may begin, and
// answers nothing on stdout that a test does not read.

return args switch
{
    ["region-set", .. var rest] => RegionVerbs.Set(rest),
    ["region-count", .. var rest] => RegionVerbs.Count(rest),
    ["region-rewrite", .. var rest] => RegionVerbs.Rewrite(rest),
    _ => Unknown(args),
};

static int Unknown(string[] args)
{
    Console.Error.WriteLine($"Otto.Ipc.Peer: no verb '{string.Join(' ', args)}'");
    return 2;
}
