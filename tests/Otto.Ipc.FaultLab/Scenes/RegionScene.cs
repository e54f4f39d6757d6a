using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.FaultLab.Scenes;

// A region whose writer is killed or stopped before a step: readers go on (writers wait, the exception that I5 makes), and see the old
// value or the new one, whole.

internal sealed class RegionScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    private static readonly string Old = new('o', 3000), New = new('n', 9000);
    private PeerProcess? _writer;

    protected override void Play()
    {
        RegionWriteStep step = Enum.Parse<RegionWriteStep>(Fault.Point["region.".Length..]);
        string path = Path.Combine(Workspace.Directory, "region");
        var location = new RegionLocation("lab") { FilePath = path };
        JsonRegion region = JsonRegion.Create(location);
        region.Set("key", Old);
        StallTimer reads = new StallTimer();
        OnThread(() =>
        {
            while (!Stopping)
            {
                string? seen = region.Get("key")?.GetString();
                if (seen != Old && seen != New) Findings.Add($"I2: half a value, {seen?.Length} letters that begin with {seen?[0]}");
                reads.Beat();
                Thread.Sleep(1);
            }
        });
        reads.Watch();
        string[] fates = Lab.Planted is { } bug && bug.StartsWith("region.skip-", StringComparison.Ordinal)
            ? ["skip", bug["region.skip-".Length..]] : [];
        _writer = new PeerProcess(Workspace.Directory, [],
            ["region-set", path, "key", New, Kill ? "kill" : "stop", step.ToString(), .. fates]);
        Soon(() => _writer.HasExited || (!Kill && _writer.IsStopped), "the writer to come to its step");
        long down = Stopwatch.GetTimestamp();
        bool committed = step > RegionWriteStep.Commit;
        if (Kill)
        {
            if (_writer.WaitForExit() != 137) Findings.Add($"the writer ended with {_writer.WaitForExit()}: {_writer.Errors}");
            JsonRegion next = JsonRegion.Open(location);
            next.Set("other", 1);
            Judge(Stopwatch.GetElapsedTime(down), "the next writer");
            Expect(next, committed ? New : Old, committed);
        }
        else
        {
            int count = reads.Count;
            Soon(() => reads.Count > count + 20, "readers to go on (I5)");
            Expect(region, committed ? New : Old, committed);
            WaitOutAPeriod(down);
            _writer.Signal(18);
            if (_writer.WaitForExit() != 0) Findings.Add($"the writer ended with {_writer.WaitForExit()}: {_writer.Errors}");
            Expect(region, New, committed: true);
        }

        Judge(reads.Stop(), "a reader");
        StopOthers();
    }

    protected override void Close() => _writer?.Dispose();

    private void Expect(JsonRegion region, string expected, bool committed)
    {
        string? found = region.Get("key")?.GetString();
        if (found == expected) return;
        Findings.Lost += committed ? 1 : 0;
        Findings.Add($"{(committed ? "I1" : "I2")}: found {found?.Length} letters that begin with {found?[0]}, expected "
            + $"{expected.Length} of {expected[0]}");
    }
}
