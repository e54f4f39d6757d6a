using Otto.Ipc.Benchmarks.Micro;

namespace Otto.Ipc.Benchmarks.Tests;

// Times inform; allocations gate.

[NonParallelizable]
public sealed class AllocationTests
{
    private static IEnumerable<string> Names => Operation.All.Select(static make =>
    {
        using Operation operation = make();
        return operation.Name;
    });

    [TestCaseSource(nameof(Names))]
    public void An_operation_allocates_what_is_expected_of_it(string name)
    {
        using Operation operation = Make(name);
        Assert.That(Allocations.Objection(Allocations.Expected, name,
            Allocations.Of(operation, Allocations.Expected.GetValueOrDefault(name))), Is.Null);
    }

    [Test]
    public void Nothing_is_expected_of_operations_that_are_gone() => Assert.That(Allocations.Expected.Keys, Is.EquivalentTo(Names));

    [Test]
    public void More_is_objected_to_and_less_is_to_be_written_down()
    {
        var expected = new Dictionary<string, double> { ["send"] = 24 };
        Assert.That(Allocations.Objection(expected, "send", 24), Is.Null);
        Assert.That(Allocations.Objection(expected, "send", 48), Is.EqualTo("'send' allocates 48 B, expected are 24 B"));
        Assert.That(Allocations.Objection(expected, "send", 0), Does.Contain("lower them"));
        Assert.That(Allocations.Objection(expected, "receive", 0), Does.Contain("stands not in expected-allocations.json"));
    }

    [Test]
    public void An_operation_that_allocates_is_seen()
    {
        using var wasteful = new Wasteful();
        Assert.That(Allocations.Of(wasteful), Is.GreaterThanOrEqualTo(100));
    }

    private static Operation Make(string name)
    {
        foreach (Func<Operation> make in Operation.All)
        {
            Operation operation = make();
            if (operation.Name == name) return operation;
            operation.Dispose();
        }

        throw new ArgumentException($"no such operation: {name}");
    }

    /// <summary>A planted fault.</summary>
    private sealed class Wasteful : Operation
    {
        private byte[] _kept = [];

        public override string Name => "wasteful";

        public override void Run(int times)
        {
            for (int i = 0; i < times; i++) _kept = new byte[100];
            GC.KeepAlive(_kept);
        }

        public override void Dispose()
        {
        }
    }
}
