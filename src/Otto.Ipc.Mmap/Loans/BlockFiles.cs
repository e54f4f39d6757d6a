using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// Free blocks and the files behind them: made for a size, kept for the next of that size within bounds, dropped by whoever has the entry
// for itself.

internal sealed class BlockFiles(BlockTable table, LenderSeat seat, string prefix)
{
    /// <summary>Free blocks together may keep this much; what is beyond goes back to the system.</summary>
    private const long MostKept = 256L << 20;

    private const long AnySize = -1;

    private int _hint;

    /// <summary>Where a block's file is.</summary>
    public string PathOf(int index, int file) => PoolLayout.BlockPath(prefix, index, file);

    /// <summary>Gives a free entry a file of this size: Free → Making(me) → Writing(me).</summary>
    public bool TryMake(long size, out int index)
    {
        if (!TryTake(0, BlockState.Making, out index) && !TryTake(AnySize, BlockState.Making, out index)) return false;
        if (FaultPoints.On) FaultPoints.Reach("loan.make.taken");
        long word = Volatile.Read(ref table.Word(index));
        try
        {
            DropFile(index);
            // Zero stands for no file.
            int file = Volatile.Read(ref table.File(index)) is > 0 and < int.MaxValue and var last ? last + 1 : 1;
            string path = PoolLayout.BlockPath(prefix, index, file);
            // A file of that name is what a maker left that died before it could say so.
            File.Delete(path);
            SegmentFile.CreateRaw(path, size);
            Volatile.Write(ref table.File(index), file);
            if (FaultPoints.On) FaultPoints.Reach("loan.make.file");
            Volatile.Write(ref table.Size(index), size);
            // Release: the entry says which file it is before anybody can find the block.
            Volatile.Write(ref table.Word(index), BlockWord.Make(BlockState.Writing, BlockWord.Generation(word), seat.Bit));
            return true;
        }
        catch
        {
            Free(index, word);
            throw;
        }
    }

    /// <summary>
    /// Takes a block's file away. The caller is its maker. The file goes also where no size is said: a maker died in
    /// between.
    /// </summary>
    private void DropFile(int index)
    {
        Volatile.Write(ref table.Size(index), 0);
        if (FaultPoints.On) FaultPoints.Reach("loan.drop.size");
        File.Delete(PoolLayout.BlockPath(prefix, index, Volatile.Read(ref table.File(index))));
    }

    /// <summary>Gives a block back whose file is not what its entry says: Writing(me) → Free, without a file.</summary>
    public void GiveUp(int index)
    {
        DropFile(index);
        Free(index, Volatile.Read(ref table.Word(index)));
    }

    /// <summary>Drops the files of free blocks of other sizes, to make room for one.</summary>
    public void DropFreeFiles(long size)
    {
        for (int i = 0; i < table.Count; i++)
        {
            long word = Volatile.Read(ref table.Word(i));
            if (BlockWord.State(word) != BlockState.Free || SizeOf(i) is 0 || SizeOf(i) == size) continue;
            long making = BlockWord.Make(BlockState.Making, BlockWord.Generation(word), seat.Bit);
            if (Interlocked.CompareExchange(ref table.Word(i), making, word) != word) continue;
            DropFile(i);
            Free(i, making);
        }
    }

    /// <summary>Drops the file of a free block, if its word is still the one that was seen.</summary>
    public void DropIdle(int index, long word)
    {
        long making = BlockWord.Make(BlockState.Making, BlockWord.Generation(word), seat.Bit);
        if (BlockWord.State(word) != BlockState.Free || Interlocked.CompareExchange(ref table.Word(index), making, word) != word) return;
        DropFile(index);
        Free(index, making);
    }

    /// <summary>What the files of free blocks take.</summary>
    public long KeptBytes()
    {
        long kept = 0;
        for (int i = 0; i < table.Count; i++)
        {
            if (BlockWord.State(Volatile.Read(ref table.Word(i))) == BlockState.Free) kept += SizeOf(i);
        }

        return kept;
    }

    private bool IsTooMuch(int index)
    {
        long kept = SizeOf(index);
        if (kept < 1 << 20) return false;
        for (int i = 0; i < table.Count; i++)
        {
            if (BlockWord.State(Volatile.Read(ref table.Word(i))) == BlockState.Free) kept += SizeOf(i);
        }

        return kept > MostKept;
    }

    /// <summary>Takes a free block whose file has this size; zero for one without a file.</summary>
    public bool TryTake(long size, BlockState to, out int index)
    {
        int start = Volatile.Read(ref _hint);
        for (int i = 0; i < table.Count; i++)
        {
            index = (start + i) % table.Count;
            long word = Volatile.Read(ref table.Word(index));
            if (BlockWord.State(word) != BlockState.Free || (size != AnySize && SizeOf(index) != size)) continue;
            if (Interlocked.CompareExchange(ref table.Word(index), BlockWord.Make(to, BlockWord.Generation(word), seat.Bit), word) != word)
                continue;
            Volatile.Write(ref _hint, index);
            return true;
        }

        index = -1;
        return false;
    }

    /// <summary>
    /// The exact word → Free, one generation on. Beyond what free blocks may keep, its file goes first.
    /// </summary>
    public bool Free(int index, long word)
    {
        long next = BlockWord.Make(BlockState.Free, BlockWord.Generation(word) + 1, 0);
        if (BlockWord.State(word) == BlockState.Making || !IsTooMuch(index) || !seat.IsTaken)
            return Interlocked.CompareExchange(ref table.Word(index), next, word) == word;
        long making = BlockWord.Make(BlockState.Making, BlockWord.Generation(word) + 1, seat.Bit);
        if (Interlocked.CompareExchange(ref table.Word(index), making, word) != word) return false;
        DropFile(index);
        Volatile.Write(ref table.Word(index), BlockWord.Make(BlockState.Free, BlockWord.Generation(making), 0));
        return true;
    }

    private long SizeOf(int index) => Volatile.Read(ref table.Size(index));
}
