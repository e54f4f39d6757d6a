namespace Otto.Ipc.Benchmarks.Measuring;

// A run on a noisy machine says so.

internal static class NoiseDetector
{
    /// <summary>A spread, and a part of a core taken by others, beyond which a machine counts as noisy.</summary>
    public const double WideSpread = 1.5, Busy = 0.25;

    /// <summary>What is said of the machine; <see langword="null"/> where it was quiet.</summary>
    /// <param name="othersBefore">What others took of the processors before the run, in cores.</param>
    /// <param name="spread">The typical ratio of the slowest repeat to the quickest.</param>
    public static string? Of(double othersBefore, double spread)
    {
        List<string> signs = [];
        if (othersBefore > Busy) signs.Add(FormattableString.Invariant($"others took {othersBefore:0.0#} of a core before the run began"));
        if (spread > WideSpread)
            signs.Add(FormattableString.Invariant($"the slowest repeat took {spread:0.0#} times as long as the quickest, typically"));
        return signs.Count == 0 ? null : $"This machine was noisy: {string.Join("; ", signs)}. Trust ratios, not numbers.";
    }
}
