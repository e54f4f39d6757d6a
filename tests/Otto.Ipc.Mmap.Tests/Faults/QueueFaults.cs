namespace Otto.Ipc.Mmap.Tests.Faults;

// SIGKILL and SIGSTOP at every step of every part of the queue's protocol, not only at convenient ones.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class QueueFaults
{
    private static readonly FaultCase[] Points =
    [
        new("queue.take.word", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue.take.head", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue.fill.described", 6, "queue-send 1 5", Fate.NeverSeen),
        new("queue.fill.word", 6, "queue-send 1 5", Fate.Done),
        new("queue.push.cell", 6, "queue-send 1 5", Fate.Done),
        new("queue.fill.pushed", 6, "queue-send 1 5", Fate.Done),
        new("queue.fill.word", 6, "queue-send 1 5 reserve", Fate.Done),
        new("queue.end.word", 3, "queue-send 1 5 abort", Fate.None),
        new("queue.push.cell", 5, "queue-send 1 5 abort", Fate.None),
        new("queue.keep.described", 5, "queue-keep 1 5", Fate.NeverSeen),
        new("queue.keep.word", 5, "queue-keep 1 5", Fate.Done),
        new("queue.end.word", 5, "queue-keep 1 5", Fate.Ended),
        new("queue.take.word", 4, "queue-work", Fate.Redelivered),
        new("queue.take.head", 4, "queue-work", Fate.Redelivered),
        new("queue.end.word", 4, "queue-work", Fate.Ended),
        new("queue.push.cell", 4, "queue-work", Fate.Ended),
        new("queue.end.pushed", 4, "queue-work", Fate.Ended),
        new("queue.take.head", 4, "queue-work async", Fate.Redelivered),
        new("queue.end.word", 1, "queue-work abandon", Fate.None),
        new("queue.push.cell", 1, "queue-work abandon", Fate.None),
        new("queue.end.pushed", 1, "queue-work abandon", Fate.None),
        new("queue.give-up.note", 2, "queue-work give-up", Fate.Redelivered),
        new("queue.delay.described", 4, "queue-send 1 5 delay", Fate.NeverSeen),
        new("queue.delay.word", 4, "queue-send 1 5 delay", Fate.Done),
        new("queue.delay.lowered", 4, "queue-send 1 5 delay", Fate.Done),
        new("queue.cancel.word", 2, "queue-send 1 9 cancel", Fate.None),
        new("queue.reap.released", 1, "queue-send 1 9 cancel", Fate.None),
        new("queue.ending.word", 2, "queue-work later", Fate.Redelivered),
        new("queue.return-later.described", 2, "queue-work later", Fate.Redelivered),
        new("queue.delay.word", 2, "queue-work later", Fate.None),
        new("queue.promote.scanned", 2, "queue-work later", Fate.None),
        new("join.locked", 1, "queue-stay", Fate.None),
        new("join.described", 1, "queue-stay worker", Fate.None),
    ];

    private readonly TestPlace _place = new();

    [TearDown]
    public void GiveBack() => _place.Dispose();

    [TestCaseSource(nameof(Points))]
    public void A_process_killed_there_loses_nothing_and_stops_nobody(FaultCase fault)
    {
        IReadOnlyList<string> problems = new QueueScenario(_place).Run(fault, kill: true);
        Assert.That(problems, Is.Empty, string.Join(Environment.NewLine, problems));
    }

    [TestCaseSource(nameof(Points))]
    public void A_process_stopped_there_stops_nobody_and_finishes_later(FaultCase fault)
    {
        IReadOnlyList<string> problems = new QueueScenario(_place).Run(fault, kill: false);
        Assert.That(problems, Is.Empty, string.Join(Environment.NewLine, problems));
    }
}
