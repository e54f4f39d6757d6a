using System.Buffers;

namespace Otto.Queue;

// Where an envelope is put together before it is copied into a route's slot: one a thread, kept, so that sending makes no garbage.

internal sealed class EnvelopeBuffer : IBufferWriter<byte>
{
    // A buffer that one huge task has blown up is not kept for ever.
    private const int KeepBytes = 1 << 20;

    [ThreadStatic] private static EnvelopeBuffer? t_spare;

    private byte[] _bytes = new byte[1024];
    private int _length;

    internal static EnvelopeBuffer Rent()
    {
        EnvelopeBuffer buffer = t_spare ?? new EnvelopeBuffer();
        t_spare = null; // Taken while in use: a serializer may enqueue another task.
        buffer._length = 0;
        return buffer;
    }

    internal void Return()
    {
        if (_bytes.Length <= KeepBytes) t_spare = this;
    }

    internal int Length => _length;

    internal Span<byte> Written => _bytes.AsSpan(0, _length);

    internal ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, _length);

    public void Advance(int count)
    {
        if ((uint)count > (uint)(_bytes.Length - _length))
            throw new ArgumentOutOfRangeException(nameof(count),
                $"advance by {count:N0} exceeds the {_bytes.Length - _length:N0} bytes that were given");
        _length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsSpan(_length);
    }

    private void Grow(int sizeHint)
    {
        int needed = Math.Max(sizeHint, 1);
        if (_bytes.Length - _length >= needed) return;
        Array.Resize(ref _bytes, (int)Math.Min(Array.MaxLength, Math.Max(_bytes.Length * 2L, (long)_length + needed)));
    }
}
