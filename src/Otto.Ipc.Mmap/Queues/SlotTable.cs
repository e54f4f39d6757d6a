using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

/// <summary>The slots of a queue as the parts of one handle share them.</summary>
internal sealed class SlotTable(SegmentFile segment, QueueLayout layout, SlotTransitions moves, UseCounter gate)
{
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

    /// <summary>Sets a slot aside that fails a check, so that the next lease does not meet it again.</summary>
    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void ThrowBadSlot(int slot, long word, string what)
    {
        string problem = $"slot {slot:N0} {what}";
        moves.TryGiveUp(new SlotToken(word, slot), SlotWord.Attempts(word), problem);
        throw new CorruptSegmentException($"{segment.Path}: {problem}; it was moved to the dead letters");
    }
}
