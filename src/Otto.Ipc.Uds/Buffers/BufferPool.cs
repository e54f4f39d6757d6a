namespace Otto.Ipc.Uds.Buffers;

// The memory in which answers wait. It is not the collector's: what a crowd of readers that do not read has made the server hold is given
// back to the system when they are gone, not whenever a collection comes by.

/// <summary>Allocates chunks for output. Unused slabs beyond a small number are returned to the system.</summary>
internal sealed class BufferPool(MemoryBudget budget) : IDisposable
{
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
        if (slab.IsUsedUp) _slabs.Remove(slab.Node);
        budget.Take(Slab.ChunkBytes);
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
        if (slab.Node.List is null) _slabs.AddFirst(slab.Node);
        if (!slab.IsUnused) return;
        _slabs.Remove(slab.Node);
        if (_unused == MostUnused)
        {
            Free(slab);
            return;
        }

        _unused++;
        _slabs.AddLast(slab.Node);
    }

    /// <summary>Frees every slab that no output uses. Once every output is broken, that is all of them.</summary>
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
        Held += Slab.Chunks * Slab.ChunkBytes;
        _unused++;
        _slabs.AddFirst(slab.Node);
        return slab;
    }

    private void Free(Slab slab)
    {
        Held -= Slab.Chunks * Slab.ChunkBytes;
        slab.Dispose();
    }
}
