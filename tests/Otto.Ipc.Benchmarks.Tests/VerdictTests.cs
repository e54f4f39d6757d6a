using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Probes;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Tests;

// The rules that turn a measurement into a word.

public sealed class VerdictTests
{
    [TestCase(1.99, SpeedClass.VeryFast)]
    [TestCase(2, SpeedClass.Fast)]
    [TestCase(199.9, SpeedClass.Fast)]
    [TestCase(200, SpeedClass.Slow)]
    public void Speed_is_a_round_trip(double p50, SpeedClass expected) => Assert.That(Verdicts.Speed(p50), Is.EqualTo(expected));

    [TestCase(0.29, Level.Low)]
    [TestCase(0.3, Level.Medium)]
    [TestCase(5.9, Level.Medium)]
    [TestCase(6, Level.High)]
    public void Overhead_is_processor_time(double cpu, Level expected) => Assert.That(Verdicts.Overhead(cpu), Is.EqualTo(expected));

    [TestCase(2.9, SpeedClass.VeryFast, SpeedClass.VeryFast)]
    [TestCase(3.1, SpeedClass.VeryFast, SpeedClass.Fast)]
    [TestCase(1.4, SpeedClass.Fast, SpeedClass.Fast)]
    [TestCase(1.3, SpeedClass.Fast, SpeedClass.VeryFast)]
    [TestCase(290, SpeedClass.Fast, SpeedClass.Fast)]
    [TestCase(310, SpeedClass.Fast, SpeedClass.Slow)]
    [TestCase(1.0, SpeedClass.Slow, SpeedClass.VeryFast)]
    public void A_number_close_to_a_border_confirms_a_claim_and_one_that_is_not_does_not(double p50, SpeedClass claim, SpeedClass expected) =>
        Assert.That(Verdicts.Speed(p50, claim), Is.EqualTo(expected));

    [TestCase(205, "slow", null)]
    [TestCase(195, "slow", "(that alone would be 'fast', but within a factor of 1.5 of the border it confirms what is expected)")]
    [TestCase(120, "fast", null)]
    public void A_word_that_is_owed_to_the_tolerance_says_so(double p50, string word, string? said)
    {
        var result = new SpeedResult
        {
            Subject = "redis", Title = "Redis", Bytes = 64, SentBytes = 64, Rates = [1], Awake = [], AwakeMedians = [], Asleep = [], AsleepMedians = [], QuietestMicroseconds = p50, CpuMicroseconds = 1, AllocatedBytes = 0,
        };
        Cell cell = new SpeedProbe([result]).Try(AllSubjects.Find("redis"));
        Assert.That(cell.Verdict, Is.EqualTo(word));
        Assert.That(cell.Evidence, said is null ? Does.Not.Contain("alone") : Does.Contain(said));
    }

    [TestCase(true, true, Support.Yes)]
    [TestCase(true, false, Support.Partial)]
    [TestCase(false, true, Support.No)]
    public void Streaming_is_a_first_frame_before_the_end(bool firstBeforeEnd, bool whole, Support expected) =>
        Assert.That(Verdicts.Streaming(firstBeforeEnd, whole), Is.EqualTo(expected));

    [TestCase(true, true, Persistence.Disk)]
    [TestCase(true, false, Persistence.UntilReboot)]
    [TestCase(false, true, Persistence.None)]
    public void What_everybodys_death_takes_is_not_kept(bool afterEverybody, bool onDisk, Persistence expected) =>
        Assert.That(Verdicts.Persistent(afterEverybody, onDisk), Is.EqualTo(expected));

    [Test]
    public void A_gibibyte_that_goes_through_means_that_there_is_no_limit()
    {
        Assert.That(Verdicts.SizeLimits(1L << 30), Is.False);
        Assert.That(Verdicts.SizeLimits((1L << 30) - 1), Is.True);
    }

    [TestCase("Linux x64; Linux arm64 declared, untested; macOS and Windows not offered", null)]
    [TestCase("Linux x64; Windows x64", "never run")]
    [TestCase("Windows x64", "do not name Linux x64")]
    [TestCase("Linux x64 untested", "it ran here")]
    public void A_platform_is_declared_honestly_or_objected_to(string declared, string? objection) =>
        Assert.That(PlatformProbe.Objection(declared, "Linux x64"), objection is null ? Is.Null : Does.Contain(objection));
}
