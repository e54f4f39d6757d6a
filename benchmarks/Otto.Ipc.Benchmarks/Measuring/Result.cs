using System.Text.Json;
using System.Text.Json.Serialization;

namespace Otto.Ipc.Benchmarks.Measuring;

// One line of results: what was measured, the median, every run, and the ratio to the peer that ran between the runs.

/// <summary>One measurement, as it is printed and as a line of JSON.</summary>
internal sealed record Result
{
    public required string Scenario { get; init; }

    public required string Transport { get; init; }

    public string? Mode { get; init; }

    public required int Bytes { get; init; }

    /// <summary>The median over the runs, in <see cref="Unit"/>.</summary>
    public required double Value { get; init; }

    public required string Unit { get; init; }

    /// <summary>Median over the runs of each run's median, in µs; round trips only.</summary>
    public double? P50 { get; init; }

    /// <summary>Median over the runs of each run's 99th percentile, in µs; round trips only.</summary>
    public double? P99 { get; init; }

    public required IReadOnlyList<double> Runs { get; init; }

    /// <summary>What the peer reached, as a median of the runs in between.</summary>
    public double? Peer { get; init; }

    public string? PeerName { get; init; }

    /// <summary>The median of each run's ratio to the peer's run next to it.</summary>
    public double? RatioToPeer { get; init; }

    /// <summary>The slowest run over the fastest: far from 1 means a noisy machine.</summary>
    public double Spread => Runs.Count == 0 || Runs.Min() <= 0 ? 1 : Runs.Max() / Runs.Min();

    public string ToJson() => JsonSerializer.Serialize(this, ResultJson.Default.Result);

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length == 0 ? 0 : sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>The median of run by run ratios, where the peer ran beside each run.</summary>
    public static double? MedianRatio(List<double> ours, List<double> peers) =>
        peers.Count == ours.Count && peers.Count > 0 ? Math.Round(Median(ours.Zip(peers, (a, b) => a / b)), 3) : null;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Result))]
internal sealed partial class ResultJson : JsonSerializerContext;
