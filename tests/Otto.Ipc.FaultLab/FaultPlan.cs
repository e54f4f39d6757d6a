using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.FaultLab;

// Who is stopped where. Each fault point of the library stands here at least once, or the lab fails.

internal static class FaultPlan
{
    public static readonly IReadOnlyList<FaultCase> Cases =
    [
        new("queue", "queue.take.word", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue", "queue.take.head", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue", "queue.fill.described", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue", "queue.fill.word", 6, "queue-send 1 5", Fate.Done),
        new("queue", "queue.push.cell", 6, "queue-send 1 5", Fate.Done),
        new("queue", "queue.fill.pushed", 6, "queue-send 1 5", Fate.Done),
        new("queue", "queue.fill.word", 6, "queue-send 1 5 reserve", Fate.Done),
        new("queue", "queue.end.word", 3, "queue-send 1 5 abort"),
        new("queue", "queue.push.cell", 5, "queue-send 1 5 abort"),
        new("queue", "queue.keep.described", 5, "queue-keep 1 5", Fate.NeverSeen),
        new("queue", "queue.keep.word", 5, "queue-keep 1 5", Fate.Done),
        new("queue", "queue.end.word", 5, "queue-keep 1 5", Fate.Ended),
        new("queue", "queue.take.word", 4, "queue-work", Fate.Redelivered),
        new("queue", "queue.take.head", 4, "queue-work", Fate.Redelivered),
        new("queue", "queue.end.word", 4, "queue-work", Fate.Ended),
        new("queue", "queue.push.cell", 4, "queue-work", Fate.Ended),
        new("queue", "queue.end.pushed", 4, "queue-work", Fate.Ended),
        new("queue", "queue.take.head", 4, "queue-work async", Fate.Redelivered),
        new("queue", "queue.end.word", 1, "queue-work abandon"),
        new("queue", "queue.push.cell", 1, "queue-work abandon"),
        new("queue", "queue.end.pushed", 1, "queue-work abandon"),
        new("queue", "queue.ending.word", 2, "queue-work give-up", Fate.Redelivered),
        new("queue", "queue.give-up.note", 2, "queue-work give-up", Fate.Redelivered),
        new("queue", "queue.give-up.word", 2, "queue-work give-up", Fate.Ended),
        new("queue", "queue.ending.word", 2, "queue-work later", Fate.Redelivered),
        new("queue", "queue.return-later.described", 2, "queue-work later", Fate.Redelivered),
        new("queue", "queue.delay.word", 2, "queue-work later"),
        new("queue", "queue.promote.scanned", 2, "queue-work later"),
        new("queue", "queue.delay.described", 4, "queue-send 1 5 delay", Fate.NeverSeen),
        new("queue", "queue.delay.word", 4, "queue-send 1 5 delay", Fate.Done),
        new("queue", "queue.delay.lowered", 4, "queue-send 1 5 delay", Fate.Done),
        new("queue", "queue.cancel.word", 2, "queue-send 1 9 cancel"),
        new("queue", "queue.reap.released", 1, "queue-send 1 9 cancel"),
        new("queue", "queue.end.word", 1, "queue-letters"),
        new("queue", "queue.push.cell", 2, "queue-letters"),
        new("queue", "doorbell.ring.word", 1, "queue-send 1 5", Fate.Done),
        new("queue", "join.locked", 1, "queue-stay"),
        new("queue", "join.described", 1, "queue-stay worker"),
        new("queue", "leave.roles", 1, "queue-stay"),

        new("segment", "sweep.done", 1, "queue-stay"),
        new("segment", "sweep.freed", 1, "queue-stay"),
        new("segment", "queue.sweep.word", 2, "queue-stay"),
        new("segment", "queue.push.cell", 2, "queue-stay"),
        new("segment", "queue.sweep.taken-over", 2, "queue-stay"),
        new("segment", "create.initialised", 1, "segment-create"),
        new("segment", "create.linked", 1, "segment-create"),
        new("segment", "remove.retired", 1, "segment-remove"),

        new("stream", "lane.before", 1, "lane-send 3 40"),
        new("stream", "lane.announced", 1, "lane-send 3 40"),
        new("stream", "stream.open.before", 1, "lane-send 3 40"),
        new("stream", "stream.open.completed", 1, "lane-send 3 40"),
        new("stream", "join.described", 1, "lane-send 3 40"),
        new("stream", "stream.publish.payload", 30, "lane-send 3 40", Fate.NeverSeen),
        new("stream", "stream.publish.frame", 30, "lane-send 3 40", Fate.NeverSeen),
        new("stream", "stream.publish.tail", 30, "lane-send 3 40", Fate.Done),
        new("stream", "stream.complete.before", 1, "lane-send 3 40"),
        new("stream", "stream.complete.word", 1, "lane-send 3 40"),
        new("stream", "stream.consume.before", 10, "lane-receive", Fate.Redelivered),
        new("stream", "stream.consume.head", 10, "lane-receive", Fate.Ended),

        new("topic", "topic.publish.oldest", 3, "topic-publish 3 30 Overwrite", Fate.NeverSeen),
        new("topic", "topic.publish.intent", 3, "topic-publish 3 30 Overwrite", Fate.NeverSeen),
        new("topic", "topic.publish.payload", 30, "topic-publish 3 40 Overwrite", Fate.NeverSeen),
        new("topic", "topic.publish.frame", 30, "topic-publish 3 40 Overwrite", Fate.NeverSeen),
        new("topic", "topic.publish.tail", 30, "topic-publish 3 40 Overwrite", Fate.Done),
        new("topic", "topic.publish.oldest", 3, "topic-publish 3 30 Block", Fate.NeverSeen),
        new("topic", "topic.publish.tail", 30, "topic-publish 3 40 Block", Fate.Done),
        new("topic", "topic.eject.place", 1, "topic-publish 3 9999 Eject", Fate.NeverSeen),
        new("topic", "topic.enter.positions", 1, "topic-hear Block"),
        new("topic", "topic.enter.place", 1, "topic-hear Block"),
        new("topic", "topic.read.before", 3, "topic-hear Block"),
        new("topic", "topic.read.position", 3, "topic-hear Block"),
        new("topic", "topic.leave.place", 1, "topic-hear Block"),
        new("topic", "topic.read.position", 3, "topic-hear Eject"),
        new("topic", "join.described", 1, "topic-hear Overwrite"),

        .. Enum.GetValues<RegionWriteStep>().Where(step => step != RegionWriteStep.SaveForeignValue)
            .Select(step => new FaultCase("region", $"region.{step}", 1, "region-set")),
    ];

    /// <summary>A bug of each kind, and the case in which the checker must see it. The others have it too, since the lab's own process has it.</summary>
    public static readonly IReadOnlyList<(string Bug, FaultCase Case, bool Kill, string Rule)> Bugs =
    [
        ("queue.sweep.forgets-cells", new("queue", "queue.fill.word", 6, "queue-send 1 5", Fate.Done), true, "I1"),
        ("queue.sweep.forgets-cells", new("queue", "queue.end.word", 4, "queue-work", Fate.Ended), true, "slots"),
        ("queue.sweep.forgets-leases", new("queue", "queue.take.head", 4, "queue-work", Fate.Redelivered), true, "I1"),
        ("sweep.without-proof", new("queue", "queue.take.head", 4, "queue-work", Fate.Redelivered), false, "I6"),
        ("queue.end.forgets-cells", new("queue", "join.described", 1, "queue-stay"), true, "stayed full"),
        ("stream.publish.tail-first", new("stream", "stream.publish.payload", 30, "lane-send 3 40", Fate.NeverSeen), true, "I"),
        ("topic.publish.intent-forgotten", new("topic", "topic.publish.tail", 30, "topic-publish 3 40 Overwrite", Fate.Done), true, ""),
        ("region.skip-Commit", new("region", "region.EndFront", 1, "region-set"), true, ""),
        ("region.skip-WriteRedo", new("region", "region.EndFront", 1, "region-set"), true, ""),
    ];
}
