using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Probes;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Tests;

// The rules that turn a measurement into a word.

public sealed class VerdictTests
{
    [TestCase(1.99, TransportSpeed.VeryFast)]
    [TestCase(2, TransportSpeed.Fast)]
    [TestCase(199.9, TransportSpeed.Fast)]
    [TestCase(200, TransportSpeed.Slow)]
    public void Speed_is_a_round_trip(double p50, TransportSpeed expected) => Assert.That(Verdicts.Speed(p50), Is.EqualTo(expected));

    [TestCase(0.29, TransportLevel.Low)]
    [TestCase(0.3, TransportLevel.Medium)]
    [TestCase(5.9, TransportLevel.Medium)]
    [TestCase(6, TransportLevel.High)]
    public void Overhead_is_processor_time(double cpu, TransportLevel expected) =>
    Assert.That(Verdicts.Overhead(cpu), Is.EqualTo(expected));

    [TestCase(2.9, TransportSpeed.VeryFast, TransportSpeed.VeryFast)]
    [TestCase(3.1, TransportSpeed.VeryFast, TransportSpeed.Fast)]
    [TestCase(1.4, TransportSpeed.Fast, TransportSpeed.Fast)]
    [TestCase(1.3, TransportSpeed.Fast, TransportSpeed.VeryFast)]
    [TestCase(290, TransportSpeed.Fast, TransportSpeed.Fast)]
    [TestCase(310, TransportSpeed.Fast, TransportSpeed.Slow)]
    [TestCase(1.0, TransportSpeed.Slow, TransportSpeed.VeryFast)]
    public void A_number_close_to_a_border_confirms_a_claim_and_one_that_is_not_does_not(double p50, TransportSpeed claim,
        TransportSpeed expected) =>
        Assert.That(Verdicts.Speed(p50, claim), Is.EqualTo(expected));

    [TestCase(205, "slow", null)]
    [TestCase(195, "slow", "(that alone would be 'fast', but within a factor of 1.5 of the border it confirms what is expected)")]
    [TestCase(120, "fast", null)]
    public void A_verdict_within_tolerance_is_marked(double p50, string word, string? said)
    {
        var result = new SpeedResult
        {
            Subject = "redis", Title = "Redis", Bytes = 64, SentBytes = 64, Rates = [1], Awake = [], AwakeMedians = [], Asleep = [],
            AsleepMedians = [], QuietestMicroseconds = p50, CpuMicroseconds = 1, AllocatedBytes = 0,
        };
        Cell cell = new SpeedProbe([result]).Try(AllSubjects.Find("redis"));
        Assert.That(cell.Verdict, Is.EqualTo(word));
        Assert.That(cell.Evidence, said is null ? Does.Not.Contain("alone") : Does.Contain(said));
    }

    [TestCase(true, true, TransportSupport.Yes)]
    [TestCase(true, false, TransportSupport.Partial)]
    [TestCase(false, true, TransportSupport.No)]
    public void Streaming_is_a_first_frame_before_the_end(bool firstBeforeEnd, bool whole, TransportSupport expected) =>
        Assert.That(Verdicts.Streaming(firstBeforeEnd, whole), Is.EqualTo(expected));

    [TestCase(true, true, TransportPersistence.Disk)]
    [TestCase(true, false, TransportPersistence.UntilReboot)]
    [TestCase(false, true, TransportPersistence.None)]
    public void What_everybodys_death_takes_is_not_kept(bool afterEverybody, bool onDisk, TransportPersistence expected) =>
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
