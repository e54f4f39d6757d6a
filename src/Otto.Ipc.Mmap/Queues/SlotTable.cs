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

    /// <summary>Sets a slot aside that fails a check, so that the next lease does not meet it again.</summary>
    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void ThrowBadSlot(int slot, long word, string what)
    {
        string problem = $"slot {slot:N0} {what}";
        moves.TryGiveUp(new SlotToken(word, slot), SlotWord.Attempts(word), problem);
        throw new CorruptSegmentException($"{segment.Path}: {problem}; it was moved to the dead letters");
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
