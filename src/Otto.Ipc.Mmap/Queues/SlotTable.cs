using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

/// <summary>The slots of a queue as the parts of one handle share them.</summary>
internal sealed class SlotTable(SegmentFile segment, QueueLayout layout, SlotTransitions moves, UseCounter gate, int maxLoanBytes)
{
    public int MaxMessageBytes { get; } =
        layout.SlotBytes < BlockDescriptor.Bytes ? layout.SlotBytes : Math.Max(layout.SlotBytes, maxLoanBytes);

    public SegmentFile Segment => segment;

    public SegmentMapping Map { get; } = segment.Mapping;

    public QueueLayout Layout => layout;

    public SlotTransitions Moves => moves;

    /// <summary>Counts what is in flight on the handle.</summary>
    public UseCounter Gate => gate;

    /// <summary>Claims a slot for a message to be sent.</summary>
    /// <exception cref="SegmentRemovedException">A process that opens the queue from now on would not find the
    /// message.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryClaim(out int slot, out long word)
    {
        if (segment.IsRetired) throw segment.Retired();
        if (moves.TryClaim(out slot, out word)) return true;
        segment.Meter.Full();
        return false;
    }

    /// <summary>Ends what is in flight: a reserved slot or a lease. Allowed after a
    /// dispose, which waits for it.</summary>
    public bool End(in SlotToken token, Ending ending, int attempts = 0, string reason = "", long notBefore = 0)
    {
        if (!gate.TryEnterLate()) return false;
        bool ended = false;
        try
        {
            return ended = Move(token, ending, attempts, reason, notBefore);
        }
        finally
        {
            gate.Exit(ended ? 2 : 1);
        }
    }

    public bool Move(in SlotToken token, Ending ending, int attempts, string reason, long notBefore) => ending switch
    {
        Ending.Released => moves.TryRelease(token),
        Ending.Returned => moves.TryReturn(token, attempts),
        Ending.ReturnedLater => moves.TryReturnLater(token, attempts, notBefore),
        _ => moves.TryGiveUp(token, attempts, reason),
    };

    /// <summary>Sets a slot aside that fails a check, so that the next lease does not meet it again.</summary>
    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void ThrowBadSlot(int slot, long word, string what)
    {
        string problem = $"slot {slot:N0} {what}";
        moves.TryGiveUp(new SlotToken(word, slot), SlotWord.Attempts(word), problem);
        throw new CorruptSegmentException($"{segment.Path}: {problem}; it was put among the dead letters");
    }

    public void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"message of {bytes:N0} bytes exceeds the limit of "
                + $"{MaxMessageBytes:N0}; raise MaxLoanBytes, create the queue with larger SlotBytes, or send a reference");
    }

    public static void CheckDelay(TimeSpan delay)
    {
        if (delay < TimeSpan.Zero || delay > WorkQueue.MaxDelay)
            throw new ArgumentOutOfRangeException(nameof(delay), $"delay must be 0 to {WorkQueue.MaxDelay.TotalDays:N0} days: {delay}");
    }
}

/// <summary>How a slot or lease ends.</summary>
internal enum Ending
{
    Released,
    Returned,
    ReturnedLater,
    GivenUp,
}
