using System.Buffers;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Buffers;

// Memory for the beginning of a command. Small ones come from the pool of the runtime. Large ones come from the system, and go back to it
// at once: the pool would keep one of each size that a growing command has passed through.

internal readonly unsafe struct InputBuffer
{
    private const int MostPooled = 8 << 10, PageBytes = 4 << 10;

    private readonly byte[]? _pooled;
    private readonly byte* _memory;

    private InputBuffer(byte[] pooled)
    {
        _pooled = pooled;
        Length = pooled.Length;
    }

    private InputBuffer(byte* memory, int length)
    {
        _memory = memory;
        Length = length;
    }

    /// <summary>Whether there is one; the default value is none.</summary>
    public bool IsAllocated => Length > 0;

    public int Length { get; }

    public Span<byte> Span => _pooled is null ? new Span<byte>(_memory, Length) : _pooled;

    /// <summary>Allocates at least so many bytes.</summary>
    /// <exception cref="IOException">The system has none.</exception>
    public static InputBuffer Allocate(int bytes)
    {
        if (bytes <= MostPooled) return new InputBuffer(ArrayPool<byte>.Shared.Rent(bytes));
        int pages = (bytes + PageBytes - 1) / PageBytes * PageBytes;
        return new InputBuffer(AnonymousMemory.Allocate(pages, "the beginning of a command"), pages);
    }

    public void Free()
    {
        if (_pooled is not null) ArrayPool<byte>.Shared.Return(_pooled);
        else if (_memory is not null) AnonymousMemory.Free(_memory, Length);
    }
}
