namespace Otto.Ipc.Mmap.Tests.Faults;

// A checker is trusted after it caught a planted bug. Each of these breaks one rule of the protocol on purpose.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PlantedBugs
{
    private readonly TestPlace _place = new();

    [TearDown]
    public void GiveBack() => _place.Dispose();

    [Test]
    public void A_sweep_that_forgets_messages_without_a_cell_is_caught() =>
        Catch("queue.sweep.forgets-cells", new FaultCase("queue.fill.word", 6, "queue-send 1 5", Fate.Done), kill: true, "I1");

    [Test]
    public void A_sweep_that_forgets_slots_without_a_cell_is_caught() =>
        Catch("queue.sweep.forgets-cells", new FaultCase("queue.end.word", 4, "queue-work", Fate.Ended), kill: true, "slots");

    [Test]
    public void A_sweep_that_forgets_leases_is_caught() =>
        Catch("queue.sweep.forgets-leases", new FaultCase("queue.take.head", 4, "queue-work", Fate.Redelivered), kill: true, "I1");

    [Test]
    public void A_sweep_that_takes_the_stopped_for_dead_is_caught() =>
        Catch("sweep.without-proof", new FaultCase("queue.take.head", 4, "queue-work", Fate.Redelivered), kill: false, "I6");

    [Test]
    public void A_completion_that_forgets_to_free_its_slot_is_caught() =>
        Catch("queue.end.forgets-cells", new FaultCase("join.described", 1, "queue-stay", Fate.None), kill: true, "slots");

    private void Catch(string bug, FaultCase fault, bool kill, string rule)
    {
        var scenario = new QueueScenario(_place) { Plant = bug, Patience = TimeSpan.FromSeconds(5) };
        IReadOnlyList<string> problems = scenario.Run(fault, kill);
        Assert.That(problems, Has.Some.Contains(rule), $"the checker found: {string.Join("; ", problems)}");
        TestContext.Out.WriteLine(string.Join(Environment.NewLine, problems));
    }
}
