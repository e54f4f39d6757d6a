using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// The one type that holds a pointer into shared memory. Everyone else gets a ref or a Span; offsets are checked by whoever computes them.

/// <summary>A segment's bytes in this process.</summary>
internal sealed unsafe class SegmentMapping
{
    private byte* _base;

    public SegmentMapping(SafeFileHandle file, long length, bool writable = true)
    {
        _base = (byte*)SegmentStore.Map(file, length, writable);
        Length = length;
    }

    /// <summary>The identity of the segment. It is empty for a block, because no process waits on the words of a
    /// block.</summary>
    public Guid SegmentId { get; init; }

    public long Length { get; }

    /// <summary>Whether the bytes are gone; asked by holders of a Memory, which outlives
    /// the leases it was handed out with.</summary>
    public bool IsUnmapped => _base is null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref long Long(long offset) => ref *(long*)(_base + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref int Int(long offset) => ref *(int*)(_base + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref byte Byte(long offset) => ref _base[offset];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Bytes(long offset, int length) => new(_base + offset, length);

    /// <summary>An address that outlives the call; for a pinned Memory.</summary>
    public nint Address(long offset) => (nint)(_base + offset);

    /// <summary>A word as processes wait on it.</summary>
    public WaitTarget WaitTarget(long offset) => new(SegmentId, offset, Address(offset));

    /// <summary>
    /// Takes the file's memory out of the address range, in one step. The memory is released, and a late read of a
    /// span that was handed out returns zeros instead of ending the process. The range itself is released after many
    /// others have been retired.
    /// </summary>
    public void Retire()
    {
        if (_base is not null) SegmentStore.Quarantine((nint)_base, Length);
    }

    /// <summary>Gives the address range back. The caller has made sure that no call and no lease is left.</summary>
    public void Unmap()
    {
        byte* address = _base;
        if (address is null) return;
        _base = null;
        SegmentStore.Unmap((nint)address, Length);
    }
}
