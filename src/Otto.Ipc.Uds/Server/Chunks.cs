using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Server;

// The memory in which answers wait. It is not the collector's: what a crowd of readers that do not read has made the server hold is given back to the
// system when they are gone, not whenever a collection comes by.

/// <summary>Bytes that wait in all connections together.</summary>
internal sealed class MemoryBudget(long most)
{
    // What answers may take of it. The rest is for what cannot be made to wait: commands that came half, news, snapshots.
    private readonly long _tight = most - most / 4;

    public long Used { get; private set; }

    /// <summary>Whether so much is used that whoever has answers to read must read them before it gets others.</summary>
    public bool IsTight => Used >= _tight;

    public bool HasRoomFor(long bytes) => Used + bytes <= most;

    public void Take(long bytes) => Used += bytes;

    public void Give(long bytes) => Used -= bytes;
}

/// <summary>A piece of output: memory of a slab, or a value that is sent from where it lies.</summary>
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

    public ReadOnlySpan<byte> Unsent => _value is null ? new ReadOnlySpan<byte>(_memory + Start, End - Start) : _value.AsSpan(Start, End - Start);
}

/// <summary>Memory for several chunks, from the system and back to it as a whole.</summary>
internal sealed unsafe class Slab : IDisposable
{
    public const int Chunks = 16;
    private readonly Stack<Chunk> _free = new(Chunks);
    private readonly byte* _memory;

    public Slab()
    {
        Place = new LinkedListNode<Slab>(this);
        _memory = (byte*)Libc.Mmap(null, Chunks * BufferPool.ChunkBytes, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        if ((nint)_memory == -1) throw Libc.Failure("mmap", $"{Chunks * BufferPool.ChunkBytes:N0} bytes for answers");
        for (int i = Chunks - 1; i >= 0; i--) _free.Push(new Chunk(this, _memory + i * BufferPool.ChunkBytes, BufferPool.ChunkBytes));
    }

    /// <summary>Its place among those that have something to give.</summary>
    public LinkedListNode<Slab> Place { get; }

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

    public void Dispose() => _ = Libc.Munmap(_memory, Chunks * BufferPool.ChunkBytes);
}

/// <summary>Chunks for output. What is beyond a few slabs that nobody uses goes back to the system.</summary>
internal sealed class BufferPool(MemoryBudget budget) : IDisposable
{
    public const int ChunkBytes = 16 << 10;

    // 4 MiB; what is beyond was for a crowd that has gone.
    private const int MostUnused = 16;

    // The used ones first, so that the others stay unused.
    private readonly LinkedList<Slab> _slabs = new();
    private int _unused;

    public MemoryBudget Budget => budget;

    /// <summary>Bytes of all slabs, used or not.</summary>
    public long Held { get; private set; }

    public Chunk Rent()
    {
        Slab slab = _slabs.First is { } first ? first.Value : Add();
        if (slab.IsUnused) _unused--;
        Chunk chunk = slab.Take();
        if (slab.IsUsedUp) _slabs.Remove(slab.Place);
        budget.Take(ChunkBytes);
        return chunk;
    }

    public Chunk Wrap(byte[] bytes)
    {
        budget.Take(bytes.Length);
        return new Chunk(bytes);
    }

    public void Return(Chunk chunk)
    {
        budget.Give(chunk.Length);
        if (chunk.Slab is not { } slab) return;
        slab.Return(chunk);
        if (slab.Place.List is null) _slabs.AddFirst(slab.Place);
        if (!slab.IsUnused) return;
        _slabs.Remove(slab.Place);
        if (_unused == MostUnused)
        {
            Free(slab);
            return;
        }

        _unused++;
        _slabs.AddLast(slab.Place);
    }

    /// <summary>Gives back what nobody uses: everything, once every output is broken.</summary>
    public void Dispose()
    {
        foreach (Slab slab in _slabs.Where(slab => slab.IsUnused).ToArray())
        {
            _slabs.Remove(slab);
            Free(slab);
        }

        _unused = 0;
    }

    private Slab Add()
    {
        var slab = new Slab();
        Held += Slab.Chunks * ChunkBytes;
        _unused++;
        _slabs.AddFirst(slab.Place);
        return slab;
    }

    private void Free(Slab slab)
    {
        Held -= Slab.Chunks * ChunkBytes;
        slab.Dispose();
    }
}
