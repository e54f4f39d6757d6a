using System.Buffers;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// One block's file as this process sees it: mapped for writing once it is borrowed here, for reading once it is received here, and kept,
// since mapping it again would cost more than all the rest of handing it over.

internal sealed class MappedBlock(int file, string path)
{
    private BlockMapping? _readable;
    private BlockMapping? _writable;

    public int File => file;

    /// <summary>Gets the block's bytes, for the participant that received it.</summary>
    public BlockMapping Readable(bool writable) => _readable ??= new BlockMapping(path, writable);

    /// <summary>Gets the block's bytes, for the participant that borrowed it.</summary>
    public BlockMapping Writable() => _writable ??= new BlockMapping(path, writable: true);

    /// <summary>Releases the block's memory, and keeps its addresses readable for a
    /// while: <see cref="SegmentMapping.Retire"/>.</summary>
    public void Retire()
    {
        _readable?.Retire();
        _writable?.Retire();
    }
}

/// <summary>A block as memory, so that it can cross an await. Without the right to write, a
/// write is a fault of the processor.</summary>
internal sealed class BlockMapping : MemoryManager<byte>
{
    private readonly SegmentMapping _map;
    private bool _retired;

    public BlockMapping(string path, bool writable)
    {
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = Platform.SegmentStore.TryOpen(path, out Platform.FileStatus status)
            ?? throw new CorruptSegmentException(
                $"{path} does not exist, but a message refers to it; do not remove files of a segment while messages wait");
        if (status.Size is < PoolLayout.LeastBlockBytes or > PoolLayout.MostBlockBytes || status.AllocatedBytes < status.Size)
            throw new CorruptSegmentException(
                $"{path}: a file of {status.Size:N0} bytes, {status.AllocatedBytes:N0} of them allocated, cannot be a block");
        _map = new SegmentMapping(file, status.Size, writable);
    }

    public int Length => (int)_map.Length;

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _retired), typeof(Loan));
        return _map.Bytes(0, (int)_map.Length);
    }

    public override unsafe MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_map.Length);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _retired), typeof(Loan));
        return new MemoryHandle((void*)(_map.Address(0) + elementIndex));
    }

    public override void Unpin()
    {
    }

    public void Retire()
    {
        Volatile.Write(ref _retired, true);
        _map.Retire();
    }

    protected override void Dispose(bool disposing)
    {
    }
}
