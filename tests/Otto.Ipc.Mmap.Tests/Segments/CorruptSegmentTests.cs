using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Segments;

// I8: whatever stands in a live segment, a call ends within a second, in a plausible answer or in an exception that is documented. The
// bytes are spoilt in another process, so that a crash is told from a failure; a case can be run again by its number.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class CorruptSegmentTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Spoilt_bytes_of_a_live_segment_neither_crash_nor_hang_its_users([Values("stream", "queue", "topic", "loan")] string shape,
        [Values(0, 1000)] int first)
    {
        const int Cases = 200;
        using PeerProcess peer = _workspace.Start("hostile", shape, $"{first}", $"{Cases}");
        int exit = peer.WaitForExit(TimeSpan.FromMinutes(2));
        string last = peer.Lines.LastOrDefault(line => line.StartsWith("case", StringComparison.Ordinal)) ?? "no case";
        Assert.That(exit, Is.Zero, $"{last}: {peer.Errors}");
        Assert.That(peer.Lines.Where(line => line.StartsWith("slow", StringComparison.Ordinal)), Is.Empty);
        string[] words = peer.WaitFor("survived").Split(' ');
        Assert.That(int.Parse(words[1], CultureInfo.InvariantCulture), Is.EqualTo(Cases));
        Assert.That(int.Parse(words[3], CultureInfo.InvariantCulture), Is.Positive, "some of it must have been noticed");
    }
}
