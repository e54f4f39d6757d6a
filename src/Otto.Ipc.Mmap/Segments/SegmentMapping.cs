using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// The one type that holds a pointer into shared memory. Everyone else gets a ref or a Span; offsets are checked by whoever computes them.

/// <summary>A segment's bytes in this process.</summary>
internal sealed unsafe class SegmentMapping
{
    private const int MostRetired = 1024;
    private static readonly Queue<(nint Address, nuint Length)> s_retired = new();

    private byte* _base;

    public SegmentMapping(SafeFileHandle file, long length, bool writable = true)
    {
        void* address = Libc.Mmap(null, (nuint)length, writable ? Libc.PROT_READ | Libc.PROT_WRITE : Libc.PROT_READ, Libc.MAP_SHARED, (int)file.DangerousGetHandle(), 0);
        if ((nint)address == -1) throw Libc.Failure("mmap", $"{length:N0} bytes");
        GC.KeepAlive(file);
        _base = (byte*)address;
        Length = length;
    }

    public long Length { get; }

    /// <summary>Whether the bytes are gone; asked by holders of a Memory, which outlives the leases it was handed out with.</summary>
    public bool IsUnmapped => _base is null;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref long Long(long offset) => ref *(long*)(_base + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref int Int(long offset) => ref *(int*)(_base + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref byte Byte(long offset) => ref _base[offset];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Bytes(long offset, int length) => new(_base + offset, length);

    /// <summary>A word's address for the kernel, which waits on addresses.</summary>
    public nint Address(long offset) => (nint)(_base + offset);

    /// <summary>
    /// Lays private zeros over the address range, in one step: the file's memory goes, and a late look at a span that was handed out reads
    /// zeros instead of ending the process. The range itself is given back once many others have been retired.
    /// </summary>
    public void Retire()
    {
        byte* address = _base;
        if (address is null) return;
        const int Fixed = Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_FIXED | Libc.MAP_NORESERVE;
        if ((nint)Libc.Mmap(address, (nuint)Length, Libc.PROT_READ | Libc.PROT_WRITE, Fixed, -1, 0) == -1) throw Libc.Failure("mmap", $"{Length:N0} bytes");
        lock (s_retired)
        {
            s_retired.Enqueue(((nint)address, (nuint)Length));
            if (s_retired.Count <= MostRetired) return;
            (nint oldest, nuint length) = s_retired.Dequeue();
            _ = Libc.Munmap((void*)oldest, length);
        }
    }

    /// <summary>Gives the address range back. The caller has made sure that no call and no lease is left.</summary>
    public void Unmap()
    {
        byte* address = _base;
        if (address is null) return;
        _base = null;
        _ = Libc.Munmap(address, (nuint)Length);
    }
}
