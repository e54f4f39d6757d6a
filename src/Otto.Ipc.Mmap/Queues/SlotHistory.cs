using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Transports;

namespace Otto.Ipc.Mmap.Queues;

// What a slot remembers of its message's earlier leases. Each value names the lap or the use that it speaks of, so one that was left by an
// earlier message, or written too late, says nothing about this one.
//
//  history, behind the note:   00          08            10
//                              +-----------+-------------+-----------+
//                              | died at   | unproven at | cancelled |
//                              +-----------+-------------+-----------+
//  died at      one more than the lap at which the message was delivered again because its holder died
//  unproven at  the lap of the first such delivery that proves nothing about this message: its holder worked on others too
//  cancelled    one more than the use of the message that is to be cancelled
//
//  How a leased slot is handled is beside the time of its lease: LeaseTime.cs.

internal sealed class SlotHistory(SegmentMapping map, QueueLayout layout)
{
    private const int DiedAt = 0x00, UnprovenAt = 0x08, Cancelled = 0x10;

    /// <summary>Notes how the holder of a leased slot works on it.</summary>
    public void SetHandling(in SlotToken token, WorkHandling handling) =>
        LeaseTime.SetHandling(map, layout.Slot(token.Index), token.Word, handling);

    /// <summary>What is known of the message that a leased slot holds.</summary>
    public DeliveryHistory Of(in SlotToken token) => new(
        Volatile.Read(ref At(token.Index, DiedAt)) == SlotWord.Lap(token.Word) + 1, UnprovenSince(token.Index) is { } ? 1 : 0);

    /// <summary>The attempts of a message whose holder died, and what its next lap remembers of it. Every
    /// sweeper writes the same, before one of them moves the word.</summary>
    public int CountDeath(int slot, long word)
    {
        int attempts = SlotWord.Attempts(word);
        long next = SlotWord.Lap(word) + 1;
        WorkHandling handling = LeaseTime.HandlingOf(Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.LeasedAt)), word);
        if (handling == WorkHandling.NotBegun)
        {
            if (Volatile.Read(ref At(slot, DiedAt)) == next) Volatile.Write(ref At(slot, DiedAt), next + 1);
            return attempts;
        }

        bool counts = true;
        if (handling == WorkHandling.BesideOthers)
        {
            counts = UnprovenSince(slot) is not { } since || since == next;
            if (counts) Volatile.Write(ref At(slot, UnprovenAt), next);
        }
        else
        {
            // Proven, and so is what was only suspected before.
            Volatile.Write(ref At(slot, UnprovenAt), 0);
        }

        Volatile.Write(ref At(slot, DiedAt), next + 1);
        return counts ? attempts + 1 : attempts;
    }

    /// <summary>Keeps a suspicion through a return that counts no attempt.</summary>
    public void Keep(in SlotToken token)
    {
        long died = SlotWord.Lap(token.Word) + 1;
        if (Volatile.Read(ref At(token.Index, DiedAt)) == died) Volatile.Write(ref At(token.Index, DiedAt), died + 1);
    }

    /// <summary>Forgets the attempts of a message that begins anew.</summary>
    public void Forget(int slot) => Volatile.Write(ref At(slot, UnprovenAt), 0);

    /// <summary>Forgets that a message was to be cancelled.</summary>
    public void ForgetCancel(int slot) => Volatile.Write(ref At(slot, Cancelled), 0);

    /// <summary>Notes that a message is to be cancelled.</summary>
    /// <returns><see langword="false"/> if the slot has another message by now.</returns>
    public bool RequestCancel(int slot, long use)
    {
        if (Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use)) != use) return false;
        // Full fence: pairs with the word that Repeat moves before it looks. Uses only grow: a late note never hides a newer one.
        long seen;
        while ((seen = Volatile.Read(ref At(slot, Cancelled))) <= use)
            if (Interlocked.CompareExchange(ref At(slot, Cancelled), use + 1, seen) == seen) break;
        if (FaultPoints.On) FaultPoints.Reach("queue.cancel.noted");
        return Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use)) == use;
    }

    /// <summary>Takes back that a message is to be cancelled.</summary>
    public void WithdrawCancel(int slot, long use) => Interlocked.CompareExchange(ref At(slot, Cancelled), 0, use + 1);

    /// <summary>Whether the slot's message is to be cancelled.</summary>
    public bool IsCancelRequested(int slot, out long use)
    {
        use = Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use));
        return Volatile.Read(ref At(slot, Cancelled)) == use + 1 && !FaultPoints.Plants("queue.cancel.forgotten");
    }

    // Laps only grow, so what an earlier message left is older than this one's use.
    private long? UnprovenSince(int slot) => Volatile.Read(ref At(slot, UnprovenAt)) is var since
        && since > Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use)) ? since : null;

    private ref long At(int slot, int field) => ref map.Long(layout.History(slot) + field);
}
