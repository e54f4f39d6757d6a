using System.Buffers;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// A slot's payload as Memory, so that a lease can cross an await. One object a slot, made on first use and kept.

internal sealed class SlotMemoryManager(SegmentMapping mapping, long offset, int length) : MemoryManager<byte>
{
    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(mapping.IsUnmapped, typeof(WorkQueue));
        return mapping.Bytes(offset, length);
    }

    public override unsafe MemoryHandle Pin(int elementIndex = 0)
    {
        // Shared memory does not move; there is nothing to pin.
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length);
        ObjectDisposedException.ThrowIf(mapping.IsUnmapped, typeof(WorkQueue));
        return new MemoryHandle((void*)(mapping.Address(offset) + elementIndex));
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
