using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

/// <summary>The entries of a pool: a word that says whose the block is, and which file of what size it has.</summary>
internal sealed class BlockTable(SegmentFile segment)
{
    private readonly SegmentMapping _map = segment.Mapping;
    private readonly long _data = segment.Plan.DataOffset;

    public int Count { get; } = (int)segment.Plan.Capacity;

    public ref long Word(int index) => ref _map.Long(At(index));

    /// <summary>The size of a block's file; zero if it has none.</summary>
    public ref long Size(int index) => ref _map.Long(At(index) + PoolLayout.Size);

    /// <summary>The number of a block's file.</summary>
    public ref int File(int index) => ref _map.Int(At(index) + PoolLayout.File);

    private long At(int index) => _data + (long)index * PoolLayout.EntryBytes;
}
