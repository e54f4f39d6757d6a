using System.Diagnostics;

namespace Otto.Ipc.Uds.Endpoints;

// Look, and if there is nothing wait for a change and look again: the one loop of every wait, blocked or not.

internal static class EndWait
{
    // Longer than this no timer runs; the loop does.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <summary>Blocks until <paramref name="ready"/>.</summary>
    /// <returns><see langword="false"/> where the time ran out.</returns>
    public static bool Wait(EndGate gate, Func<bool> ready, Func<Task> change, TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            gate.ThrowIfDisposed();
            cancellationToken.ThrowIfCancellationRequested();
            // Asked for before the look: what changes after it is not missed.
            Task changed = change();
            if (ready()) return true;
            gate.ThrowIfDisposed();
            TimeSpan left = timeout == Timeout.InfiniteTimeSpan ? timeout : timeout - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero && left != Timeout.InfiniteTimeSpan) return false;
            changed.Wait(left > Longest || left == Timeout.InfiniteTimeSpan ? Longest : left, cancellationToken);
        }
    }

    /// <summary>Waits, without holding a thread, until <paramref name="ready"/>.</summary>
    public static async Task WaitAsync(EndGate gate, Func<bool> ready, Func<Task> change, CancellationToken cancellationToken)
    {
        while (true)
        {
            gate.ThrowIfDisposed();
            cancellationToken.ThrowIfCancellationRequested();
            Task changed = change();
            if (ready()) return;
            gate.ThrowIfDisposed();
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
