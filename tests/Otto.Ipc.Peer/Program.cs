using Otto.Ipc.Peer;

// The other process of a test. One verb a role; a group of verbs has a file of its own. It says "ready" when the test may begin, and
// answers nothing on stdout that a test does not read.

return args switch
{
    ["region-set", .. var rest] => RegionVerbs.Set(rest),
    ["region-count", .. var rest] => RegionVerbs.Count(rest),
    ["region-rewrite", .. var rest] => RegionVerbs.Rewrite(rest),
    ["stream-send", .. var rest] => StreamVerbs.Send(rest),
    ["stream-receive", .. var rest] => StreamVerbs.Receive(rest),
    ["stream-stay", .. var rest] => StreamVerbs.Stay(rest),
    ["full-stream", .. var rest] => FullDiskVerbs.Stream(rest),
    ["full-queue"] => FullDiskVerbs.Queue(),
    ["fifo-send", .. var rest] => FifoVerbs.Send(rest),
    ["fifo-receive", .. var rest] => FifoVerbs.Receive(rest),
    ["lane-send", .. var rest] => SharedStreamVerbs.Send(rest),
    ["lane-receive", .. var rest] => SharedStreamVerbs.Receive(rest),
    ["news-publish", .. var rest] => BoundedTopicVerbs.Publish(rest),
    ["news-hear", .. var rest] => BoundedTopicVerbs.Subscribe(rest),
    ["queue-send", .. var rest] => QueueVerbs.Send(rest),
    ["queue-work", .. var rest] => QueueVerbs.Work(rest),
    ["queue-bury", .. var rest] => QueueVerbs.Bury(rest),
    ["queue-hold", .. var rest] => QueueVerbs.Hold(rest),
    ["loan-borrow", .. var rest] => QueueVerbs.Borrow(rest),
    ["queue-keep", .. var rest] => QueueVerbs.Keep(rest),
    ["queue-letters", .. var rest] => QueueVerbs.Letters(rest),
    ["label-send", .. var rest] => LabelVerbs.Send(rest),
    ["label-work", .. var rest] => LabelVerbs.Work(rest),
    ["queue-stay", .. var rest] => QueueVerbs.Stay(rest),
    ["idle", .. var rest] => IdleVerbs.Run(rest),
    ["spin"] => SpinVerb.Run(),
    ["topic-publish", .. var rest] => TopicVerbs.Publish(rest),
    ["topic-hear", .. var rest] => TopicVerbs.Subscribe(rest),
    ["loan-publish", .. var rest] => LoanVerbs.Publish(rest),
    ["loan-hear", .. var rest] => LoanVerbs.Hear(rest),
    ["loan-send", .. var rest] => LoanVerbs.Send(rest),
    ["loan-receive", .. var rest] => LoanVerbs.Receive(rest),
    ["segment-create", .. var rest] => SegmentVerbs.Create(rest),
    ["segment-open", .. var rest] => SegmentVerbs.Open(rest),
    ["segment-remove", .. var rest] => SegmentVerbs.Remove(rest),
    ["store-rewrite", .. var rest] => StoreVerbs.Rewrite(rest),
    ["store-set", .. var rest] => StoreVerbs.Set(rest),
    ["hostile", .. var rest] => HostileVerbs.Run(rest),
    _ => Unknown(args),
};

static int Unknown(string[] args)
{
    Console.Error.WriteLine($"Otto.Ipc.Peer: no verb '{string.Join(' ', args)}'");
    return 2;
}
