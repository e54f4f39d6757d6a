using Otto.Ipc.Mmap.Doorbells;

namespace Otto.Ipc.Mmap.Tests.Doorbells;

// Looking before sleeping: as long as it pays off, and never where the one waited for has no core to run on.

[TestFixture]
public sealed class SpinBudgetTests
{
    [Test]
    public void The_budget_falls_while_looking_does_not_pay_and_grows_back_when_it_does()
    {
        if (Environment.ProcessorCount == 1) Assert.Ignore("one core: nobody spins here");
        var spin = new SpinBudget(TimeSpan.FromMilliseconds(1));
        var readiness = new Readiness();
        TimeSpan first = spin.Budget;
        for (int i = 0; i < 10; i++) Assert.That(spin.Spin(readiness), Is.False);
        TimeSpan least = spin.Budget;
        readiness.IsReadyNow = true;
        for (int i = 0; i < 10; i++) Assert.That(spin.Spin(readiness), Is.True);
        Assert.That(first, Is.EqualTo(TimeSpan.FromMicroseconds(500)));
        Assert.That(least, Is.EqualTo(TimeSpan.FromMicroseconds(62.5)), "a sixteenth of the limit: enough to notice that it pays again");
        Assert.That(spin.Budget, Is.EqualTo(TimeSpan.FromMilliseconds(1)));
    }

    [Test]
    public void A_process_that_has_one_core_never_spins()
    {
        using ChildProcess alone =
            ChildProcess.Start("taskset", "-c", "0", Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Peer"), "spin");
        Assert.That(alone.Output(), Is.EqualTo("0 looks"));
        if (Environment.ProcessorCount == 1) return;
        using ChildProcess free = ChildProcess.Peer("spin");
        Assert.That(free.Output(), Does.EndWith("looks").And.Not.EqualTo("0 looks"));
    }

    private sealed class Readiness : IReadiness
    {
        public bool IsReadyNow { get; set; }

        public bool Poll() => IsReadyNow;
    }
}
