using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Buffers;

/// <summary>A piece of output: memory of a slab, or a value that is sent without a copy.</summary>
internal sealed unsafe class Chunk
{
    private readonly byte[]? _value;
    private readonly byte* _memory;

    public Chunk(Slab slab, byte* memory, int length)
    {
        Slab = slab;
        _memory = memory;
        Length = length;
    }

    public Chunk(byte[] value)
    {
        _value = value;
        Length = End = value.Length;
    }

    /// <summary>Where it came from; <see langword="null"/> for a value.</summary>
    public Slab? Slab { get; }

    public int Length { get; }

    public int Start { get; set; }

    public int End { get; set; }

    /// <summary>How many answers end in it.</summary>
    public int Answers { get; set; }

    public Chunk? Next { get; set; }

    /// <summary>How much may be appended.</summary>
    public int Room => Slab is null ? 0 : Length - End;

    public Span<byte> Free => new(_memory + End, Length - End);

    public ReadOnlySpan<byte> Unsent =>
        _value is null ? new ReadOnlySpan<byte>(_memory + Start, End - Start) : _value.AsSpan(Start, End - Start);
}

/// <summary>Memory for several chunks, from the system and back to it as a whole.</summary>
internal sealed unsafe class Slab : IDisposable
{
    public const int Chunks = 16, ChunkBytes = 16 << 10;
    private readonly Stack<Chunk> _free = new(Chunks);
    private readonly byte* _memory;

    public Slab()
    {
        Node = new LinkedListNode<Slab>(this);
        _memory = AnonymousMemory.Allocate(Chunks * ChunkBytes, "answers");
        for (int i = Chunks - 1; i >= 0; i--) _free.Push(new Chunk(this, _memory + i * ChunkBytes, ChunkBytes));
    }

    /// <summary>Its node in the list of those that have free chunks.</summary>
    public LinkedListNode<Slab> Node { get; }

    public bool IsUsedUp => _free.Count == 0;

    public bool IsUnused => _free.Count == Chunks;

    public Chunk Take()
    {
        Chunk chunk = _free.Pop();
        chunk.Start = chunk.End = chunk.Answers = 0;
        chunk.Next = null;
        return chunk;
    }

    public void Return(Chunk chunk) => _free.Push(chunk);

    public void Dispose() => AnonymousMemory.Free(_memory, Chunks * ChunkBytes);
}
