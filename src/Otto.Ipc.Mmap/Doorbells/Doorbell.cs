using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Doorbells;

// Waking without burning: one word a direction, and no system call while the other side is awake.
//
//  31                         2   1   0
//  +--------------------------+---+---+
//  | sequence                 | F | W |   W: somebody waits   F: signallers fence before they look
//  +--------------------------+---+---+
//
//  waiter:      OR W into the word; where F is clear, fence for everybody, then OR F; look again; sleep while the word holds the value seen
// signaller: publish; read the word; where F is set, fence and read it again; where W is set, CAS to {sequence + 1, W clear} and wake all
//
// Everybody is woken, since W is cleared for all: waking one would strand the second, and a woken worker that dies takes its wake along.
// A signaller that dies or stops between publishing and waking wakes no process, whether W is still set or not: the maintenance thread of
// each process that waits looks once a second, and rings for itself.
// F is set only after the barrier: a second waiter that finds it set passes none itself, and must not rely on one that is still to come.
// F is what makes a busy stream free of fences and a sleepy one free of membarrier: docs/decisions/0002-the-waiter-pays-for-the-fence.md.

/// <summary>A word that wakes the waiters that wait on it. The publishing side uses it.</summary>
internal sealed class Doorbell(SegmentMapping mapping, long offset)
{
    /// <summary>Bits of the word, and what a ring adds to it.</summary>
    public const int Waiting = 1, Fencing = 2, Sequence = 4;

    /// <summary>Gets the word, for a waiter that waits on many words at once.</summary>
    public WaitTarget Target => mapping.WaitTarget(offset);

    public ref int Word => ref mapping.Int(offset);

    public int Value => Volatile.Read(ref Word);

    /// <summary>Gets a value that indicates whether a waiter waits. The caller has published and fenced.</summary>
    public bool SomeoneWaits => (Volatile.Read(ref mapping.Int(offset)) & Waiting) != 0;

    /// <summary>Notifies the waiters that something was published. Call it after publishing, without a fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Signal()
    {
        if (!ProcessFence.Asymmetric) Interlocked.MemoryBarrier();
        if ((Volatile.Read(ref mapping.Int(offset)) & (Waiting | Fencing)) != 0) SignalSlowly();
    }

    /// <summary>Wakes all waiters, whether or not there is a reason.</summary>
    public void Ring()
    {
        int seen = Volatile.Read(ref Word);
        while (true)
        {
            // Full fence: pairs with the waiter's OR. It either sees the new sequence and does not sleep, or slept before and is woken.
            int found = Interlocked.CompareExchange(ref Word, (seen & ~Waiting) + Sequence, seen);
            // Another ring does for this one. A waiter that changed W or F does not: who sleeps until the sequence moves would sleep on.
            if (found == seen || (found ^ seen) >>> 2 != 0) break;
            seen = found;
        }

        if (FaultPoints.On) FaultPoints.Reach("doorbell.ring.word");
        if (MmapMeter.Wakes.Enabled) MmapMeter.Wakes.Add(1);
        WaitWord.WakeAll(Target);
    }

    private void SignalSlowly()
    {
        // Pairs with the OR in DoorbellWaiter.Announce: either the waiter's last look sees what was published, or this sees W.
        Interlocked.MemoryBarrier();
        if (SomeoneWaits) Ring();
    }
}
