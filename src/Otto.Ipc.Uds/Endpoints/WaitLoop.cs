using System.Diagnostics;
using Otto.Ipc.Endpoints;

namespace Otto.Ipc.Uds.Endpoints;

// Look, and if there is nothing wait for a change and look again: the one loop of every wait, blocked or not.

internal static class WaitLoop
{
    // Longer than this no timer runs; the loop does.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <summary>Blocks until <paramref name="ready"/>.</summary>
    /// <returns><see langword="true"/> if it is ready; <see langword="false"/> if the time ran out.</returns>
    public static bool Wait(ExclusiveUse use, Func<bool> ready, Func<Task> change, TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            use.ThrowIfClosed();
            cancellationToken.ThrowIfCancellationRequested();
            // Asked for before the look: what changes after it is not missed.
            Task changed = change();
            if (ready()) return true;
            use.ThrowIfClosed();
            TimeSpan left = timeout == Timeout.InfiniteTimeSpan ? timeout : timeout - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero && left != Timeout.InfiniteTimeSpan) return false;
            changed.Wait(left > Longest || left == Timeout.InfiniteTimeSpan ? Longest : left, cancellationToken);
        }
    }

    /// <summary>Waits, without holding a thread, until <paramref name="ready"/>.</summary>
    public static async Task WaitAsync(ExclusiveUse use, Func<bool> ready, Func<Task> change, CancellationToken cancellationToken)
    {
        while (true)
        {
            use.ThrowIfClosed();
            cancellationToken.ThrowIfCancellationRequested();
            Task changed = change();
            if (ready()) return;
            use.ThrowIfClosed();
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
