using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Otto.Ipc.Conformance;
using Otto.Ipc.FaultLab.Scenes;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.FaultLab;

// The order of the day: is every point planned; does the checker see planted bugs; every point once with each signal; then chance, from a
// seed, until the time is over; then hostile bytes. The first broken promise is enough to fail, but everything is run.

internal sealed class Lab(int seed, TextWriter? json, int atOnce)
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<(string Point, string Signal), PointResult> _results = [];
    private readonly List<string> _failures = [];

    /// <summary>The bug that this very process has, where it was started to have one.</summary>
    public static string? Planted { get; } = Environment.GetEnvironmentVariable("OTTO_FAULT_PLANT") is { Length: > 0 } bug ? bug : null;

    public bool Failed => _failures.Count > 0;

    public IReadOnlyList<string> Failures => _failures;

    public IEnumerable<PointResult> Results => _results.Values;

    public static Findings Play(FaultCase fault, bool kill, Random random, bool mustReach, TimeSpan? timeout = null)
    {
        TimeSpan wait = timeout ?? TimeSpan.FromSeconds(20);
        using Scene scene = fault.Scene switch
        {
            "queue" => new QueueScene(fault, kill, random, mustReach) { Patience = wait },
            "loan" => new QueueScene(fault, kill, random, mustReach, slotBytes: 64) { Patience = wait },
            "dead" => new DeadLetterScene(fault, kill, random, mustReach) { Patience = wait },
            "label" => new LabelScene(fault, kill, random, mustReach) { Patience = wait },
            "schedule" => new ScheduleScene(fault, kill, random, mustReach) { Patience = wait },
            "renewal" => new RenewalScene(fault, kill, random, mustReach) { Patience = wait },
            "stream" => new StreamScene(fault, kill, random, mustReach) { Patience = wait },
            "topic" => new TopicScene(fault, kill, random, mustReach) { Patience = wait },
            "region" => new RegionScene(fault, kill, random, mustReach) { Patience = wait },
            _ => new SegmentScene(fault, kill, random, mustReach) { Patience = wait },
        };
        return scene.Run();
    }

    /// <summary>Fails for each point of the library that no case names, and for each that there is no longer.</summary>
    public void CheckPlan()
    {
        HashSet<string> planned = [.. FaultPlan.Cases.Select(c => c.Point)], known = [.. FaultPointNames.All];
        foreach (string point in known.Except(planned)) Fail($"no case of the plan stops anybody at {point}");
        foreach (string point in planned.Except(known).Where(p => !p.StartsWith("region.", StringComparison.Ordinal)))
            Fail($"the plan names {point}, which the library does not have");
    }

    /// <summary>Starts this program once more for each planted bug, and expects it to find something.</summary>
    public void CatchBugs() => Parallel.For(0, FaultPlan.Bugs.Count, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, i =>
    {
        (string bug, FaultCase fault, _, _) = FaultPlan.Bugs[i];
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        foreach (string argument in SelfArguments()) start.ArgumentList.Add(argument);
        start.ArgumentList.Add("planted");
        start.ArgumentList.Add(i.ToString(CultureInfo.InvariantCulture));
        start.Environment["OTTO_FAULT_AT"] = "nowhere";
        start.Environment["OTTO_FAULT_PLANT"] = bug;
        using Process process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        bool caught = process.ExitCode == 0;
        if (!caught) Fail($"planted bug {bug} ({fault}) was not caught: {said}");
        Write(new BugLine(bug, fault.Point, caught, said));
        Console.Error.WriteLine($"  planted {bug}: {(caught ? "caught" : "NOT CAUGHT")}");
    });

    /// <summary>Every case of the plan once, with each signal.</summary>
    public void EveryPoint(Func<FaultCase, bool> wanted, string? signal)
    {
        (FaultCase Case, bool Kill)[] runs =
            [.. from fault in FaultPlan.Cases where wanted(fault) from kill in (bool[])[true, false] where signal is null
            || signal == (kill ? "KILL" : "STOP") select (fault, kill)];
        int done = 0;
        Parallel.For(0, runs.Length, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, i =>
        {
            Record(runs[i].Case, runs[i].Kill, Play(runs[i].Case, runs[i].Kill, new Random(seed), mustReach: true), "");
            Progress(Interlocked.Increment(ref done), runs.Length);
        });
    }

    /// <summary>Cases, hits and sizes by chance, until the time is over.</summary>
    public int Chance(TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        int next = 0;
        Parallel.For(0, atOnce, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, _ =>
        {
            while (Stopwatch.GetElapsedTime(start) < time) RunByNumber(Interlocked.Increment(ref next));
        });
        return next;
    }

    /// <summary>One run by chance, told from the seed and its number alone.</summary>
    public void RunByNumber(int number)
    {
        var random = new Random(unchecked(seed * 1_000_003 + number));
        FaultCase fault = FaultPlan.Cases[random.Next(FaultPlan.Cases.Count)];
        if (fault.Hit > 1) fault = fault with { Hit = 1 + random.Next(40) };
        bool kill = random.Next(2) == 0;
        Record(fault, kill, Play(fault, kill, random, mustReach: false), $" (again: eng/faults --seed {seed} --run {number})");
    }

    /// <summary>Spoilt segments, in processes that may crash.</summary>
    public void Hostile(int casesAShape)
    {
        string[] shapes = ["stream", "queue", "topic", "loan"];
        const int Batch = 500;
        (string Shape, int First)[] batches =
            [.. from first in Enumerable.Range(0, (casesAShape + Batch - 1) / Batch) from shape in shapes select (shape, first * Batch)];
        var totals = shapes.ToDictionary(shape => shape, _ => new int[3]);
        Parallel.For(0, batches.Length, new ParallelOptions { MaxDegreeOfParallelism = 2 }, i =>
        {
            (string shape, int first) = batches[i];
            using SegmentWorkspace place = new SegmentWorkspace();
            using var peer = new PeerProcess(place.Directory, [],
                ["hostile", shape, Text(seed * 1_000 + first), Text(Math.Min(Batch, casesAShape - first))]);
            bool hung = false, crashed = false;
            try
            {
                crashed = peer.WaitForExit(TimeSpan.FromMinutes(3)) != 0;
            }
            catch (Exception)
            {
                hung = true;
            }

            string last = peer.Lines.LastOrDefault(line => line.StartsWith("case", StringComparison.Ordinal)) ?? "no case";
            if (crashed || hung) Fail($"hostile {shape}, {last}: {(hung ? "hung" : "crashed")}: {peer.Errors}");
            string[] slow = [.. peer.Lines.Where(line => line.StartsWith("slow", StringComparison.Ordinal))];
            foreach (string line in slow) Fail($"hostile {shape}: {line}");
            lock (_gate)
            {
                totals[shape][0] += Math.Min(Batch, casesAShape - first);
                totals[shape][1] += crashed ? 1 : 0;
                totals[shape][2] += hung || slow.Length > 0 ? 1 : 0;
            }
        });
        foreach (string shape in shapes)
        {
            Write(new HostileLine(shape, totals[shape][0], totals[shape][1], totals[shape][2]));
            Console.Error.WriteLine(
                $"  hostile bytes in a {shape}: {totals[shape][0]:N0} cases, {totals[shape][1]} crashed, {totals[shape][2]} hung");
        }
    }

    /// <summary>Writes the lines of all points.</summary>
    public void WriteResults()
    {
        foreach (PointResult result in _results.Values) Write(result);
    }

    private void Record(FaultCase fault, bool kill, Findings findings, string again)
    {
        lock (_gate)
        {
            var key = (fault.Point, kill ? "KILL" : "STOP");
            if (!_results.TryGetValue(key, out PointResult? result)) _results[key] = result = new PointResult(key.Point, key.Item2);
            if (findings.Reached) result.Runs++;
            result.Lost += findings.Lost;
            result.Duplicated += findings.Duplicated;
            result.Reordered += findings.Reordered;
            result.WorstStallMs = Math.Max(result.WorstStallMs, Math.Round(findings.WorstStall.TotalMilliseconds, 1));
            foreach (string problem in findings.Problems.Take(5)) Fail($"{fault} {key.Item2}: {problem}{again}");
        }
    }

    private void Fail(string problem)
    {
        lock (_gate) _failures.Add(problem);
        Console.Error.WriteLine($"  FAILED {problem}");
    }

    private void Write<T>(T line)
    {
        if (json is null) return;
        string text = JsonSerializer.Serialize(line, typeof(T), LabJson.Default);
        lock (_gate) json.WriteLine(text);
    }

    private static void Progress(int done, int all)
    {
        if (done % 20 == 0 || done == all) Console.Error.WriteLine($"  {done} of {all} runs");
    }

    /// <summary>What has to stand before our own arguments to start this program again.</summary>
    private static string[] SelfArguments() =>
        Path.GetFileName(Environment.ProcessPath) == "dotnet" ? [typeof(Lab).Assembly.Location] : [];

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What all runs at one point with one signal showed; a line of JSON.</summary>
internal sealed class PointResult(string point, string signal)
{
    public string Point => point;

    public string Signal => signal;

    public int Runs { get; set; }

    public int Lost { get; set; }

    public int Duplicated { get; set; }

    public int Reordered { get; set; }

    public double WorstStallMs { get; set; }
}

/// <summary>Whether a planted bug was seen.</summary>
internal sealed record BugLine(string Planted, string Point, bool Caught, string By);

/// <summary>How many spoilt segments were survived.</summary>
internal sealed record HostileLine(string Hostile, int Cases, int Crashed, int Hung);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PointResult))]
[JsonSerializable(typeof(BugLine))]
[JsonSerializable(typeof(HostileLine))]
internal sealed partial class LabJson : JsonSerializerContext;
