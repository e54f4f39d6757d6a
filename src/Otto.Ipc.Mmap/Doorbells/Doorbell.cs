using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Doorbells;

// Waking without burning: one word a direction, and no system call while the other side is awake.
//
//  31                         2   1   0
//  +--------------------------+---+---+
//  | sequence                 | F | W |   W: somebody waits   F: signallers fence before they look
//  +--------------------------+---+---+
//
//  waiter:      OR W into the word; where F is clear, fence for everybody, then OR F; look again; sleep while the word holds the value seen
//  signaller:   publish; read the word; where F is set, fence and read it again; where W is set, CAS to {sequence + 1, W clear} and wake all
//
// Everybody is woken, since W is cleared for all: waking one would strand the second, and a woken worker that dies takes its wake along.
// A signaller that dies or stops between publishing and waking wakes nobody, whether W is still set or not: the housekeeper of each
// process that waits looks once a second, and rings for itself.
// F is set only after the barrier: a second waiter that finds it set passes none itself, and must not rely on one that is still to come.
// F is what makes a busy stream free of fences and a sleepy one free of membarrier: docs/decisions/0002-the-waiter-pays-for-the-fence.md.

internal sealed class Doorbell(SegmentMapping mapping, long offset, IReadiness readiness, bool signallersFence)
{
    private const int Waiting = 1, Fencing = 2, Sequence = 4;
    private const int LooksUntilCalm = 64;
    private int _waiters;
    private bool _fencing;
    private int _looks;

    public IReadiness Readiness => readiness;

    /// <summary>The word's address, for those who wait on many words at once.</summary>
    public nint Address => mapping.Address(offset);

    /// <summary>Whether somebody waits through this object. The word cannot tell: a signaller may have cleared it and then died.</summary>
    public bool HasWaiters => Volatile.Read(ref _waiters) != 0;

    private ref int Word => ref mapping.Int(offset);

    public int Value => Volatile.Read(ref Word);

    /// <summary>Whether somebody waits. The caller has published and fenced.</summary>
    public bool SomeoneWaits => (Volatile.Read(ref mapping.Int(offset)) & Waiting) != 0;

    /// <summary>Tells who waits that something was published; called after publishing, without a fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Signal()
    {
        if (!Fences.Asymmetric) Interlocked.MemoryBarrier();
        if ((Volatile.Read(ref mapping.Int(offset)) & (Waiting | Fencing)) != 0) SignalSlowly();
    }

    /// <summary>Wakes everybody who waits, whether or not there is a reason.</summary>
    public void Ring()
    {
        int seen = Volatile.Read(ref Word);
        // Full fence: pairs with the waiter's OR. It either sees the new sequence and does not sleep, or slept before and is woken.
        Interlocked.CompareExchange(ref Word, (seen & ~Waiting) + Sequence, seen);
        if (FaultPoints.On) FaultPoints.Reach("doorbell.ring.word");
        if (MmapMeter.Wakes.Enabled) MmapMeter.Wakes.Add(1);
        Futex.WakeAll(Address);
    }

    /// <summary>The waiting side looked and was busy: after a while of that signallers need not fence any more.</summary>
    public void LookedAwake()
    {
        if (!_fencing || ++_looks < LooksUntilCalm) return;
        _fencing = false;
        // Safe at any time: a waiter whose OR comes after this finds F clear, and fences for everybody.
        Interlocked.And(ref Word, ~Fencing);
    }

    /// <summary>Waits without holding a thread until ready.</summary>
    /// <param name="stop">Ends the waiting early.</param>
    /// <param name="mode">How to sleep.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync(WaitStop stop, WaitMode mode)
    {
        stop.ThrowIfStopped();
        if (readiness.IsReady) return;
        using CancellationTokenRegistration wakeOnCancel = stop.Cancellation.UnsafeRegister(static bell => ((Doorbell)bell!).Ring(), this);
        Interlocked.Increment(ref _waiters);
        try
        {
            for (int pause = 1; ; pause = Math.Min(pause + 1, (int)PortablePause.Longest.TotalMilliseconds))
            {
                bool @short = mode == WaitMode.Portable || !Futex.HasWaitVector;
                int seen = 0;
                if (@short ? readiness.IsReady : Announce(out seen, out @short)) return;
                stop.ThrowIfStopped();
                if (@short) await Task.Delay(pause, CancellationToken.None).ConfigureAwait(false);
                else await AsyncDoorbells.WaitAsync(this, seen).ConfigureAwait(false);
                stop.ThrowIfStopped();
                if (readiness.IsReady) return;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }

    /// <summary>Announces a waiter and takes the last look.</summary>
    /// <param name="seen">What the word must still hold for the sleep to be safe.</param>
    /// <param name="short">Whether other processes may miss the announcement, so that the sleep must be short.</param>
    /// <returns><see langword="true"/> where there is nothing to wait for any more.</returns>
    public bool Announce(out int seen, out bool @short)
    {
        @short = false;
        // Full fence: pairs with the CAS in Ring, and with the fence of a signaller that saw F.
        seen = Interlocked.Or(ref Word, Waiting) | Waiting;
        if (FaultPoints.On) FaultPoints.Reach("doorbell.announce.waiting");
        if (!signallersFence)
        {
            if ((seen & Fencing) == 0)
            {
                // A signaller that read the word before W was set must not have published after: reach it wherever it stands.
                Fences.ReachSignallers();
                seen = Interlocked.Or(ref Word, Fencing) | Fencing;
            }

            @short = !Fences.SignallersReached;
            _fencing = true;
            _looks = 0;
        }

        // Rung in between: W is clear again, so nobody would ring for a sleep now. There is a reason to look, or a short sleep finds it.
        if ((seen & Waiting) == 0) @short = true;
        return readiness.IsReady;
    }

    private void SignalSlowly()
    {
        // Pairs with the OR in Announce: either the waiter's last look sees what was published, or this sees W.
        Interlocked.MemoryBarrier();
        if (SomeoneWaits) Ring();
    }

    /// <summary>Blocks until ready, for this long at most.</summary>
    /// <param name="spin">How long to look first.</param>
    /// <param name="timeout">How long in all; infinite for ever.</param>
    /// <param name="stop">Ends the waiting early.</param>
    /// <param name="mode">How to sleep.</param>
    /// <returns>Whether it is ready.</returns>
    public bool Wait(SpinBudget spin, TimeSpan timeout, in WaitStop stop, WaitMode mode)
    {
        stop.ThrowIfStopped();
        if (readiness.IsReady || (timeout != TimeSpan.Zero && spin.Spin(readiness))) return true;
        using CancellationTokenRegistration wakeOnCancel = stop.Cancellation.UnsafeRegister(static bell => ((Doorbell)bell!).Ring(), this);
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
                    if (left <= TimeSpan.Zero) return readiness.IsReady;
                }

                if (mode == WaitMode.Portable)
                {
                    portable.Pause(left);
                    if (readiness.IsReady) return true;
                    continue;
                }

                if (Announce(out int seen, out bool @short)) return true;
                // A stop that came before the announcement rang a word that nobody slept on yet.
                stop.ThrowIfStopped();
                if (@short && (left is null || left > PortablePause.Longest)) left = PortablePause.Longest;
                Futex.Wait(Address, seen, left);
                if (readiness.IsReady) return true;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }
}

/// <summary>What ends a wait before its time.</summary>
internal readonly struct WaitStop(IClosableEnd end, CancellationToken cancellationToken)
{
    public CancellationToken Cancellation => cancellationToken;

    public void ThrowIfStopped()
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(end.IsClosed, end);
    }
}

/// <summary>An end that somebody may dispose while another waits on it.</summary>
internal interface IClosableEnd
{
    bool IsClosed { get; }
}

/// <summary>The part of waiting that needs no futex: sleeps that grow from short to a few milliseconds.</summary>
internal struct PortablePause
{
    public static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(5);
    private int _pauses;

    public void Pause(TimeSpan? left)
    {
        if (_pauses++ < 20)
        {
            Thread.Yield();
            return;
        }

        TimeSpan pause = TimeSpan.FromMilliseconds(Math.Min(_pauses - 19, Longest.TotalMilliseconds));
        Thread.Sleep(left is { } l && l < pause ? l : pause);
    }
}
