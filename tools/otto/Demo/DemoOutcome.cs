using System.Diagnostics;
using System.Text.Json.Serialization;

namespace Otto.Tools.Demo;

// What one way of running came to; also the line of JSON.

/// <param name="Route">How the tasks travelled.</param>
/// <param name="Tasks">Work tasks: one for vision and one for voice a file.</param>
/// <param name="TasksPerSecond">From the first file to the last result, the work included.</param>
/// <param name="OverheadP50Us">Enqueue to handler start of a task that finds nobody busy, in µs.</param>
/// <param name="OverheadP99Us">The same, 99th percentile.</param>
/// <param name="Lost">Results that never came.</param>
/// <param name="Duplicated">Results that came more than once.</param>
internal sealed record DemoOutcome(
    string Route, int Tasks, double TasksPerSecond, double OverheadP50Us, double OverheadP99Us, int Lost, int Duplicated)
{
    /// <summary>How many times as long a task takes through Redis: its median overhead over
    /// this one's. Absent where there was no server.</summary>
    public double? RatioToRedis { get; init; }

    /// <summary>What could not be read, and why.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Failures { get; init; } = [];

    public static DemoOutcome Of(string route, ResultTally ledger, TimeSpan elapsed, int warmUps)
    {
        long[] overheads = ledger.ProbeOverheads()[Math.Min(warmUps, ledger.ProbeOverheads().Length)..];
        Array.Sort(overheads);
        int tasks = Math.Max(ledger.Files, 0) * 2;
        return new DemoOutcome(
            route, tasks, Math.Round((tasks - ledger.Lost) / elapsed.TotalSeconds, 1), Percentile(overheads, 0.50),
            Percentile(overheads, 0.99), ledger.Lost, ledger.Duplicated)
        {
            Failures = [.. ledger.Failures().Order(StringComparer.Ordinal).Distinct()],
        };
    }

    private static double Percentile(long[] sorted, double part) =>
        sorted.Length == 0 ? 0 : Math.Round(sorted[(int)(part * (sorted.Length - 1))] * 1e6 / Stopwatch.Frequency, 3);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DemoOutcome))]
internal sealed partial class OutcomeJson : JsonSerializerContext;
