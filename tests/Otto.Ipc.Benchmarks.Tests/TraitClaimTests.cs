using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Tests;

// What a transport says of itself, and what real processes show: where the two differ, the run fails.

[NonParallelizable]
public sealed class TraitClaimTests
{
    // Every trait of a FIFO, changed to what it is not.
    private static readonly string[] Wrong =
    [
        "Speed=Slow", "Streaming=No", "Persistent=Disk", "Debuggable=Easy", "ShellFriendly=Hard", "Bidirectional=true", "SetUp=High",
        "Overhead=High", "MaxMessageBytes=1044477",
        "Platforms=Linux x64; Windows x64",
    ];

    [Test]
    public void A_run_in_which_all_traits_are_right_passes()
    {
        (int code, string errors) =
            Run("--only", "fifo", "--rows", "Streaming", "Persistent", "Bidirectional", "SetUp", "SizeLimits", "CrossPlatform");
        Assert.That(code, Is.Zero, errors);
    }

    [Test]
    public void A_run_in_which_a_trait_is_wrong_fails_and_names_it()
    {
        (int code, string errors) = Run(["--quick", "--only", "fifo", .. Wrong.SelectMany(static w => (string[])["--trait", "fifo." + w])]);
        string[] failed = [.. errors.Split('\n').Where(static l => l.StartsWith("FAILED: fifo, ", StringComparison.Ordinal))];
        Assert.That(code, Is.EqualTo(1), errors);
        foreach (Row row in Enum.GetValues<Row>())
            Assert.That(failed, Has.Exactly(1).StartsWith($"FAILED: fifo, {Verdicts.Word(row)}: its traits say"), errors);
    }

    [Test]
    public void A_claim_that_is_not_the_verdict_contradicts_it_and_none_contradicts_nothing()
    {
        var cell = new Cell { Row = Row.Persistent, Subject = "mmap", Verdict = "until reboot", Evidence = "seen", Claim = "until reboot" };
        Assert.That(cell.Contradiction, Is.Null);
        Assert.That((cell with { Claim = "yes" }).Contradiction, Is.EqualTo("its traits say 'yes', measured is 'until reboot'"));
        Assert.That((cell with { Claim = null }).Contradiction, Is.Null);
        Assert.That((cell with { Objection = "its traits say 1 B, and one more went through" }).Contradiction, Is.Not.Null);
    }

    private static (int Code, string Errors) Run(params string[] arguments) =>
        BenchmarkProgram.Run(Checkout.Root, ["matrix", .. arguments]);
}
