namespace Otto.Ipc.Benchmarks.Matrix.Results;

// One result of the matrix: a word, the number it came from, and what was seen.

/// <summary>What a probe found of one subject.</summary>
internal sealed record Cell
{
    public required Row Row { get; init; }

    /// <summary>The subject's name.</summary>
    public required string Subject { get; init; }

    /// <summary>The word that <see cref="Verdicts"/> gives.</summary>
    public required string Verdict { get; init; }

    /// <summary>The number that the word came from.</summary>
    public double? Number { get; init; }

    public string? Unit { get; init; }

    /// <summary>What was done and what was seen, in a sentence.</summary>
    public required string Evidence { get; init; }

    /// <summary>What is usually said.</summary>
    public string? Usual { get; init; }

    /// <summary>What the transport's traits say, in the same words.</summary>
    public string? Claim { get; init; }

    /// <summary>What contradicts the traits beyond the word; <see langword="null"/> where nothing does.</summary>
    public string? Objection { get; init; }

    /// <summary>Why it says something else than is usually said.</summary>
    public bool Disagrees => Usual is not null && Usual != Verdict;

    /// <summary>In what the transport's traits are wrong; <see langword="null"/> where they are right.</summary>
    public string? Contradiction =>
        Claim is not null && Claim != Verdict ? $"its traits say '{Claim}', measured is '{Verdict}'" : Objection;
}

/// <summary>What one subject reached at one size, over all repeats.</summary>
internal sealed record SpeedResult
{
    /// <summary>What is said of a subject without any.</summary>
    public const string NeverTaken = "each try to measure it failed; what happened stands with the failures";

    public required string Subject { get; init; }

    public required string Title { get; init; }

    /// <summary>The size that was asked for.</summary>
    public required int Bytes { get; init; }

    /// <summary>The size that was sent, where the subject cannot carry that one.</summary>
    public required int SentBytes { get; init; }

    /// <summary>Messages a second in one direction, run by run.</summary>
    public required IReadOnlyList<double> Rates { get; init; }

    /// <summary>Round trips of ends that never sleep: their distribution; empty where they cannot.</summary>
    public required IReadOnlyList<Percentile> Awake { get; init; }

    /// <summary>The quietest round trips of all repeats, as many in a row as make a median;
    /// awake where the ends can be.</summary>
    public required double QuietestMicroseconds { get; init; }

    /// <summary>Medians of each run's round trips, awake.</summary>
    public required IReadOnlyList<double> AwakeMedians { get; init; }

    /// <summary>Round trips of ends that sleep until something comes.</summary>
    public required IReadOnlyList<Percentile> Asleep { get; init; }

    public required IReadOnlyList<double> AsleepMedians { get; init; }

    /// <summary>Processor time of all processes for one message of a busy run, in µs.</summary>
    public required double CpuMicroseconds { get; init; }

    /// <summary>Allocated bytes of both ends for one message of a busy run.</summary>
    public required double AllocatedBytes { get; init; }

    public double Rate => Measuring.Result.Median(Rates);

    /// <summary>The widest of the three spreads: the largest run over the smallest.</summary>
    public double Spread =>
        new[] { Rates, AwakeMedians, AsleepMedians }.Where(r => r.Count > 0 && r.Min() > 0).Select(r => r.Max() / r.Min()).DefaultIfEmpty(1)
        .Max();

    public static double? At(IReadOnlyList<Percentile> distribution, double percent) =>
        distribution.FirstOrDefault(p => p.Percent == percent)?.Microseconds;
}

/// <param name="Percent">Such a part of all round trips took no longer.</param>
/// <param name="Microseconds">How long: the median over the repeats.</param>
internal sealed record Percentile(double Percent, double Microseconds);
