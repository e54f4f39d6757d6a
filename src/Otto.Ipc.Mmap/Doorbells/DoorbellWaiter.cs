using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Doorbells;

// The waiting side of a doorbell; the protocol is described in Doorbell.cs.

/// <summary>Waits for a doorbell until something is ready.</summary>
internal sealed class DoorbellWaiter(SegmentMapping mapping, long offset, IReadiness readiness, bool signallersFence)
{
    private const int LooksUntilCalm = 64;
    private int _waiters;
    private bool _fencing;
    private int _polls;

    /// <summary>What wakes this waiter.</summary>
    public Doorbell Bell { get; } = new(mapping, offset);

    /// <summary>
    /// Gets a value that indicates whether a thread or task waits through this object. The word does not indicate it:
    /// a signaller may have cleared the word and then died.
    /// </summary>
    public bool HasWaiters => Volatile.Read(ref _waiters) != 0;

    /// <summary>Rings for a waiter of this process whose signaller was stopped or killed before it rang.</summary>
    public void WakeIfMissed()
    {
        if (HasWaiters && readiness.Poll()) Bell.Ring();
    }

    /// <summary>
    /// Notes that the waiting side polled and was busy. After a while of that, signallers need not fence any more.
    /// </summary>
    public void NoteBusy()
    {
        if (!_fencing || ++_polls < LooksUntilCalm) return;
        _fencing = false;
        // Safe at any time: a waiter whose OR comes after this finds F clear, and fences for everybody.
        Interlocked.And(ref Bell.Word, ~Doorbell.Fencing);
    }

    /// <summary>Waits without holding a thread until ready.</summary>
    /// <param name="stop">Ends the waiting early.</param>
    /// <param name="mode">How to sleep.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync(WaitStop stop, WaitMode mode)
    {
        stop.ThrowIfStopped();
        if (readiness.Poll()) return;
        using CancellationTokenRegistration wakeOnCancel = stop.Cancellation.UnsafeRegister(static bell => ((Doorbell)bell!).Ring(), Bell);
        Interlocked.Increment(ref _waiters);
        try
        {
            for (int pause = 1; ; pause = Math.Min(pause + 1, (int)PortablePause.Longest.TotalMilliseconds))
            {
                bool @short = mode == WaitMode.Portable || !WaitWord.CanSleepOnMany;
                int seen = 0;
                if (@short ? readiness.Poll() : Announce(out seen, out @short)) return;
                stop.ThrowIfStopped();
                if (@short) await Task.Delay(pause, CancellationToken.None).ConfigureAwait(false);
                else await AsyncDoorbells.WaitAsync(Bell, seen).ConfigureAwait(false);
                stop.ThrowIfStopped();
                if (readiness.Poll()) return;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }

    /// <summary>Announces a waiter and polls for the last time.</summary>
    /// <param name="seen">What the word must still hold for the sleep to be safe.</param>
    /// <param name="short">Whether other processes may miss the announcement, so that the sleep must be short.</param>
    /// <returns>
    /// <see langword="true"/> if there is nothing to wait for any more; otherwise, <see langword="false"/>.
    /// </returns>
    public bool Announce(out int seen, out bool @short)
    {
        @short = false;
        // Full fence: pairs with the CAS in Doorbell.Ring, and with the fence of a signaller that saw F.
        seen = Interlocked.Or(ref Bell.Word, Doorbell.Waiting) | Doorbell.Waiting;
        if (FaultPoints.On) FaultPoints.Reach("doorbell.announce.waiting");
        if (!signallersFence)
        {
            if ((seen & Doorbell.Fencing) == 0)
            {
                // A signaller that read the word before W was set must not have published after: reach it wherever it stands.
                ProcessFence.ReachSignallers();
                // Not after a barrier that was refused: a waiter of a process whose barrier works would rely on it, and sleep in full.
                if (ProcessFence.SignallersReached) seen = Interlocked.Or(ref Bell.Word, Doorbell.Fencing) | Doorbell.Fencing;
            }

            @short = !ProcessFence.SignallersReached;
            _fencing = !@short;
            _polls = 0;
        }

        // Rung in between: W is clear again, so nobody would ring for a sleep now. There is a reason to look, or a short sleep finds it.
        if ((seen & Doorbell.Waiting) == 0) @short = true;
        return readiness.Poll();
    }

    /// <summary>Blocks until ready, for this long at most.</summary>
    /// <param name="spin">How long to poll before the first sleep.</param>
    /// <param name="timeout">The longest time to wait in total. Infinite waits indefinitely.</param>
    /// <param name="stop">Ends the waiting early.</param>
    /// <param name="mode">How to sleep.</param>
    /// <returns>Whether it is ready.</returns>
    public bool Wait(SpinBudget spin, TimeSpan timeout, in WaitStop stop, WaitMode mode)
    {
        stop.ThrowIfStopped();
        if (readiness.Poll() || (timeout != TimeSpan.Zero && spin.Spin(readiness))) return true;
        using CancellationTokenRegistration wakeOnCancel = stop.Cancellation.UnsafeRegister(static bell => ((Doorbell)bell!).Ring(), Bell);
        long start = Stopwatch.GetTimestamp();
        var portable = new PortablePause();
        Interlocked.Increment(ref _waiters);
        try
        {
            while (true)
            {
                stop.ThrowIfStopped();
                TimeSpan? left = null;
                if (timeout != Timeout.InfiniteTimeSpan)
                {
                    left = timeout - Stopwatch.GetElapsedTime(start);
                    if (left <= TimeSpan.Zero) return readiness.Poll();
                }

                if (mode == WaitMode.Portable || !WaitWord.CanSleep)
                {
                    portable.Pause(left);
                    if (readiness.Poll()) return true;
                    continue;
                }

                if (Announce(out int seen, out bool @short)) return true;
                // A stop that came before the announcement rang a word that nobody slept on yet.
                stop.ThrowIfStopped();
                if (@short && (left is null || left > PortablePause.Longest)) left = PortablePause.Longest;
                WaitWord.Wait(Bell.Target, seen, left);
                if (readiness.Poll()) return true;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }
}
