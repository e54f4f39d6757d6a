using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// The files behind the blocks: made for a size, kept for the next of that size within bounds, dropped by whoever has the entry for itself.

internal sealed partial class LoanPool
{
    /// <summary>Gives a free entry a file of this size: Free → Making(me) → Writing(me).</summary>
    private bool TryMake(long size, out int index)
    {
        if (!TryTake(0, BlockState.Making, out index) && !TryTake(AnySize, BlockState.Making, out index)) return false;
        if (FaultPoints.On) FaultPoints.Reach("loan.make.taken");
        long word = Volatile.Read(ref Word(index));
        try
        {
            DropFile(index);
            int file = Volatile.Read(ref _map.Int(At(index) + PoolLayout.File)) + 1;
            string path = PoolLayout.BlockPath(_prefix, index, file);
            // A file of that name is what a maker left that died before it could say so.
            File.Delete(path);
            SegmentFile.CreateRaw(path, size);
            Volatile.Write(ref _map.Int(At(index) + PoolLayout.File), file);
            if (FaultPoints.On) FaultPoints.Reach("loan.make.file");
            Volatile.Write(ref _map.Long(At(index) + PoolLayout.Size), size);
            // Release: the entry says which file it is before anybody can find the block.
            Volatile.Write(ref Word(index), BlockWord.Make(BlockState.Writing, BlockWord.Generation(word), MyBit));
            return true;
        }
        catch
        {
            Free(index, word);
            throw;
        }
    }

    /// <summary>Takes a block's file away. The caller is its maker. The file goes also where no size is said: a maker died in between.</summary>
    private void DropFile(int index)
    {
        Volatile.Write(ref _map.Long(At(index) + PoolLayout.Size), 0);
        if (FaultPoints.On) FaultPoints.Reach("loan.drop.size");
        File.Delete(PoolLayout.BlockPath(_prefix, index, Volatile.Read(ref _map.Int(At(index) + PoolLayout.File))));
    }

    /// <summary>Gives a block back whose file is not what its entry says: Writing(me) → Free, without a file.</summary>
    private void GiveUp(int index)
    {
        DropFile(index);
        Free(index, Volatile.Read(ref Word(index)));
    }

    /// <summary>Drops the files of free blocks of other sizes, to make room for one.</summary>
    private void DropFreeFiles(long size)
    {
        for (int i = 0; i < _blocks; i++)
        {
            long word = Volatile.Read(ref Word(i));
            if (BlockWord.State(word) != BlockState.Free || SizeOf(i) is 0 || SizeOf(i) == size) continue;
            long making = BlockWord.Make(BlockState.Making, BlockWord.Generation(word), MyBit);
            if (Interlocked.CompareExchange(ref Word(i), making, word) != word) continue;
            DropFile(i);
            Free(i, making);
        }
    }

    private bool IsTooMuch(int index)
    {
        long kept = SizeOf(index);
        if (kept < 1 << 20) return false;
        for (int i = 0; i < _blocks; i++)
        {
            if (BlockWord.State(Volatile.Read(ref Word(i))) == BlockState.Free) kept += SizeOf(i);
        }

        return kept > MostKept;
    }
}
