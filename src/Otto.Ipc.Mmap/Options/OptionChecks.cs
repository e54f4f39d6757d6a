using System.Numerics;
using Otto.Ipc.Mmap.Loans;

namespace Otto.Ipc.Mmap;

// The ranges that the options of several shapes share.

internal static class OptionChecks
{
    private static readonly TimeSpan LongestSpin = TimeSpan.FromSeconds(1);

    /// <summary>Whether a ring can have so many bytes.</summary>
    public static bool IsCapacity(long bytes) => bytes is >= 4096 and <= 1 << 30 && BitOperations.IsPow2(bytes);

    /// <summary>Checks the bytes of a ring, if they are stated.</summary>
    public static void Capacity(int? capacity)
    {
        if (capacity is { } bytes && !IsCapacity(bytes))
            throw OutOfRange(nameof(Capacity), $"capacity must be a power of two from 4,096 to {1 << 30:N0}: {bytes:N0}");
    }

    /// <summary>Checks the largest block of an end that always can lend one.</summary>
    public static void MaxLoanBytes(int bytes)
    {
        if (bytes is < 1 or > PoolLayout.MostBlockBytes)
            throw OutOfRange(nameof(MaxLoanBytes),
                $"max loan bytes must be 1 to {PoolLayout.MostBlockBytes:N0}: {bytes:N0}");
    }

    /// <summary>Checks how an end waits.</summary>
    public static void Waiting(TimeSpan spinLimit, WaitMode waitMode)
    {
        if (spinLimit < TimeSpan.Zero || spinLimit > LongestSpin)
            throw OutOfRange("SpinLimit", $"spin limit must be 0 to 1 s: {spinLimit}");
        if (!Enum.IsDefined(waitMode)) throw OutOfRange(nameof(WaitMode), $"no such wait mode: {(int)waitMode}");
    }

    // An option's name is not a parameter's of these methods.
    private static ArgumentOutOfRangeException OutOfRange(string option, string problem) => new(option, problem);
}
