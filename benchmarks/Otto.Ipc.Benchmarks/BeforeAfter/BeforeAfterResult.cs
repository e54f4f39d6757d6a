using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.BeforeAfter;

/// <param name="Order">The place of the way among all.</param>
internal sealed record BeforeAfterRun(string Way, string Title, int Tasks, double ProducedASecond, double ConsumedASecond,
    double TotalSeconds, int Order);

/// <summary>Medians over the runs of one way with so many tasks.</summary>
internal sealed record BeforeAfterResult
{
    public required string Way { get; init; }

    public required string Title { get; init; }

    public required int Tasks { get; init; }

    public required double ProducedASecond { get; init; }

    public required double ConsumedASecond { get; init; }

    public required double TotalMilliseconds { get; init; }

    /// <summary>The total divided by the tasks, which do nothing themselves.</summary>
    public required double OverheadMicroseconds { get; init; }

    public required IReadOnlyList<double> Runs { get; init; }

    public static BeforeAfterResult Of(IReadOnlyList<BeforeAfterRun> runs)
    {
        double total = Result.Median(runs.Select(r => r.TotalSeconds));
        return new BeforeAfterResult
        {
            Way = runs[0].Way,
            Title = runs[0].Title,
            Tasks = runs[0].Tasks,
            ProducedASecond = Math.Round(Result.Median(runs.Select(r => r.ProducedASecond))),
            ConsumedASecond = Math.Round(Result.Median(runs.Select(r => r.ConsumedASecond))),
            TotalMilliseconds = Math.Round(total * 1e3, 2),
            OverheadMicroseconds = Math.Round(total / runs[0].Tasks * 1e6, 3),
            Runs = [.. runs.Select(r => Math.Round(r.TotalSeconds * 1e3, 2))],
        };
    }
}
