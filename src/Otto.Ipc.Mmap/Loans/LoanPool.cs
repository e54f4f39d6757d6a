using System.Numerics;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// The blocks that one channel lends, as one of its handles sees them. The states, who may change them, and what each crash leaves are a
// table in docs/layouts.md. A block is borrowed, sent with a message, and freed with it; what a death leaves between two of these is found
// by looking at which blocks the channel's messages still name.

internal sealed class LoanPool
{
    /// <summary>The number of blocks that one check asks the file system for.</summary>
    private const int LooksAtFiles = 64;

    private readonly SegmentFile _segment;
    private readonly Participants _participants;
    private readonly BlockTable _table;
    private readonly LenderSeat _seat;
    private readonly BlockFiles _files;
    private readonly LoanRecovery _recovery;
    private readonly MappedBlock?[] _views;
    private readonly int[] _holds;
    private readonly IdleBlocks _idle;
    private readonly Lock _gate = new();
    private readonly int _blocks;
    private readonly bool _writableViews;
    private int _looked;
    private int _outstanding = 1; // one for the handle itself

    private LoanPool(SegmentFile segment, string prefix, IBlockReferences references, bool writableViews)
    {
        _segment = segment;
        _writableViews = writableViews;
        _table = new BlockTable(segment);
        _blocks = _table.Count;
        _views = new MappedBlock?[_blocks];
        _holds = new int[_blocks];
        _recovery = new LoanRecovery(_table, references);
        _participants = Participants.Observe(segment, _recovery.Repair, ParticipantRange.Any);
        _seat = new LenderSeat(_participants);
        _files = new BlockFiles(_table, _seat, prefix);
        _idle = new IdleBlocks(_table, _files, segment.Path);
    }

    private uint MyBit => _seat.Bit;

    /// <summary>Opens the pool of a channel, and creates it if there is none.</summary>
    /// <param name="channel">The channel's segment.</param>
    /// <param name="blocks">How many blocks a new pool has.</param>
    /// <param name="references">What the channel's messages name.</param>
    /// <param name="writableViews">Whether what is received may be written.</param>
    public static LoanPool Open(SegmentFile channel, int blocks, IBlockReferences references, bool writableViews)
    {
        string prefix = PoolLayout.Prefix(channel.Path, channel.Id);
        SegmentFile segment =
            SegmentFile.OpenOrCreateAt(PoolLayout.PoolPath(prefix), new PoolSpec(Math.Clamp(blocks, 1, PoolLayout.MostBlocks)));
        try
        {
            return new LoanPool(segment, prefix, references, writableViews);
        }
        catch
        {
            segment.Close();
            throw;
        }
    }

    /// <summary>Returns whether a process already lends in this channel.</summary>
    public static bool Exists(SegmentFile channel) => File.Exists(PoolLayout.PoolPath(PoolLayout.Prefix(channel.Path, channel.Id)));

    /// <inheritdoc cref="LenderSeat.IsTaken"/>
    public bool HasSeat => _seat.IsTaken;

    /// <summary>Borrows a block: Free → Writing(me).</summary>
    /// <returns><see langword="false"/> if all blocks are lent; otherwise, <see langword="true"/>.</returns>
    /// <exception cref="IOException">There is no room for a block of this size, or no seat;
    /// the message has the numbers.</exception>
    /// <exception cref="SegmentRemovedException">The pool's file was deleted under its users.</exception>
    public bool TryBorrow(int bytes, out BlockDescriptor block, out Memory<byte> memory)
    {
        if (_segment.IsRetired) throw _segment.Retired();
        if (!HasSeat) throw new IOException(
            $"{_segment.Path} has {PoolLayout.MaxParticipants} handles that lend or hold blocks, which is its limit; dispose one");
        long size = Math.Max(PoolLayout.LeastBlockBytes, (long)BitOperations.RoundUpToPowerOf2((uint)bytes));
        // A block whose file somebody has deleted or cut is found when it is opened, given up, and another one taken.
        for (int tries = 0; tries < _blocks && TryTakeOrMake(size, out int index); tries++)
        {
            int file = Volatile.Read(ref _table.File(index));
            block = new BlockDescriptor(index, file, BlockWord.Generation(Volatile.Read(ref Word(index))), bytes);
            try
            {
                memory = View(index, file).Writable().Memory;
            }
            catch (CorruptSegmentException)
            {
                memory = default;
            }
            catch
            {
                _files.Free(index, Volatile.Read(ref Word(index)));
                throw;
            }

            if (memory.Length < bytes)
            {
                _files.GiveUp(index);
                continue;
            }

            memory = memory[..bytes];
            Interlocked.Increment(ref _outstanding);
            if (FaultPoints.On) FaultPoints.Reach("loan.borrowed");
            return true;
        }

        block = default;
        memory = default;
        return false;
    }

    /// <summary>What fits best first, then a block without a file, then any that is free;
    /// then what deaths have left, once more.</summary>
    private bool TryTakeOrMake(long size, out int index)
    {
        try
        {
            if (_files.TryTake(size, BlockState.Writing, out index) || _files.TryMake(size, out index)) return true;
            Collect();
        }
        catch (IOException)
        {
            // No room in the file system: what nobody reads any more, and free blocks of other sizes, give theirs.
            Collect();
            _files.DropFreeFiles(size);
        }

        return _files.TryTake(size, BlockState.Writing, out index) || _files.TryMake(size, out index);
    }

    /// <summary>Begins to send: Writing(me) → Sending(me). The message that names it is committed next.</summary>
    /// <returns>
    /// <see langword="true"/> if it is this participant's to send; otherwise, <see langword="false"/>.
    /// </returns>
    public bool TryBeginSend(in BlockDescriptor block)
    {
        bool begun = TryChange(block, BlockState.Writing, BlockState.Sending, MyBit, MyBit);
        if (FaultPoints.On) FaultPoints.Reach("loan.sending");
        return begun;
    }

    /// <summary>The message is committed: Sending(me) → Sent. From here on the block is the message's.</summary>
    public void EndSend(in BlockDescriptor block)
    {
        if (FaultPoints.On) FaultPoints.Reach("loan.committed");
        // Fails where somebody has received and completed the message meanwhile: it found it Sending, and freed it.
        TryChange(block, BlockState.Sending, BlockState.Sent, MyBit, 0);
        if (FaultPoints.On) FaultPoints.Reach("loan.sent");
        Leave();
    }

    /// <summary>Returns a block unsent: Writing(me) → Free.</summary>
    /// <returns>
    /// <see langword="true"/> if it is this participant's to return; otherwise, <see langword="false"/>.
    /// </returns>
    public bool ReturnBlock(in BlockDescriptor block)
    {
        // A copy of a loan that came back long ago may be disposed again after the pool was closed.
        if (Volatile.Read(ref _outstanding) <= 0 || !Find(block, out long word) || BlockWord.State(word) != BlockState.Writing
            || BlockWord.Holders(word) != MyBit || !_files.Free(block.Block, word)) return false;
        Leave();
        return true;
    }

    /// <summary>Gets the block's bytes, for a participant that holds the message that names it.</summary>
    /// <exception cref="CorruptSegmentException">There is no such block.</exception>
    public ReadOnlyMemory<byte> Read(in BlockDescriptor block)
    {
        if (!Find(block, out long word) || BlockWord.State(word) is not (BlockState.Sending or BlockState.Sent or BlockState.Held))
            throw new CorruptSegmentException($"{_segment.Path}: a message refers to block {block.Block:N0}, file {block.File:N0}, "
                + $"generation {block.Generation:N0}, which is not lent");
        BlockMapping bytes = View(block.Block, block.File).Readable(_writableViews);
        if ((uint)block.Length > (uint)bytes.Length)
            throw new CorruptSegmentException(
                $"{_segment.Path}: a message refers to {block.Length:N0} bytes of block {block.Block:N0}, which has {bytes.Length:N0}");
        return bytes.Memory[..block.Length];
    }

    /// <summary>Copies a block's bytes. The caller checks afterwards whether its message was still there.</summary>
    /// <param name="block">Which.</param>
    /// <param name="buffer">Where they go, from its beginning; grown if it is too small.</param>
    /// <returns><see langword="false"/> if the block is gone; otherwise, <see langword="true"/>.</returns>
    public bool TryCopy(in BlockDescriptor block, ref byte[] buffer)
    {
        try
        {
            ReadOnlySpan<byte> bytes = Read(block).Span;
            if (bytes.Length > buffer.Length) buffer = GC.AllocateUninitializedArray<byte>(bytes.Length);
            bytes.CopyTo(buffer);
            return true;
        }
        catch (Exception e) when (e is CorruptSegmentException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>The message that named the block has come to its end: Sent → Free, or Held
    /// while a participant still reads.</summary>
    public void End(in BlockDescriptor block)
    {
        while (Find(block, out long word))
        {
            BlockState state = BlockWord.State(word);
            if (state is not (BlockState.Sending or BlockState.Sent)) return;
            // The sender may not have come to say that it was sent; its bit says nothing then.
            uint holders = state == BlockState.Sending ? 0 : BlockWord.Holders(word);
            if (FaultPoints.On) FaultPoints.Reach("loan.end.before");
            if (holders == 0)
            {
                if (_files.Free(block.Block, word)) return;
            }
            else if (Interlocked.CompareExchange(ref Word(block.Block), BlockWord.Make(BlockState.Held, block.Generation, holders),
                word) == word)
            {
                return;
            }
        }
    }

    /// <summary>Keeps a block beyond its message: sets this participant's bit. The caller
    /// holds the message, or checks afterwards whether it was still there.</summary>
    /// <returns>
    /// <see langword="false"/> if the block is gone, or there is no seat; otherwise, <see langword="true"/>.
    /// <see cref="HasSeat"/> distinguishes the two failures.
    /// </returns>
    public bool TryHold(in BlockDescriptor block)
    {
        if (!HasSeat) return false;
        lock (_gate)
        {
            while (Find(block, out long word))
            {
                if (BlockWord.State(word) is not (BlockState.Sent or BlockState.Sending)) return false;
                // The message was committed, or nobody could hold it: what its sender has not come to say is said here.
                long held = BlockWord.State(word) == BlockState.Sending ? BlockWord.Make(BlockState.Sent, block.Generation, MyBit)
                    : word | MyBit;
                if (held != word && Interlocked.CompareExchange(ref Word(block.Block), held, word) != word) continue;
                _holds[block.Block]++;
                Interlocked.Increment(ref _outstanding);
                if (FaultPoints.On) FaultPoints.Reach("loan.held");
                return true;
            }

            return false;
        }
    }

    /// <summary>Releases a block that <see cref="TryHold"/> kept.</summary>
    public void ReleaseHold(in BlockDescriptor block)
    {
        DropHold(block);
        Leave();
    }

    private void DropHold(in BlockDescriptor block)
    {
        lock (_gate)
        {
            if (_holds[block.Block] == 0 || --_holds[block.Block] > 0) return;
            while (Find(block, out long word))
            {
                uint rest = BlockWord.Holders(word) & ~MyBit;
                if (FaultPoints.On) FaultPoints.Reach("loan.let-go.before");
                if (BlockWord.State(word) == BlockState.Held && rest == 0)
                {
                    if (_files.Free(block.Block, word)) return;
                }
                else if (Interlocked.CompareExchange(ref Word(block.Block), BlockWord.Make(BlockWord.State(word), block.Generation, rest),
                    word) == word)
                {
                    return;
                }
            }
        }
    }

    /// <summary>Checks for dead borrowers and holders, and for files that were deleted.</summary>
    public void RunMaintenance()
    {
        if (_participants.SweepDead() > 0) Collect();
        if (_segment.IsRetired || _segment.CheckStillLinked() || !_seat.WasTaken) return;
        for (int i = 0; i < LooksAtFiles; i++)
        {
            // 64 a second: an index of a signed counter would be negative after a year.
            int index = (int)((uint)_looked++ % (uint)_blocks);
            if (_views[index] is not { } view || File.Exists(_files.PathOf(index, view.File))) continue;
            long word = Volatile.Read(ref Word(index));
            // Memory that is mapped keeps its room, although its file has no name any more.
            if (BlockWord.State(word) is BlockState.Free or BlockState.Making) Unmap(index, view);
            long writing = BlockWord.Make(BlockState.Writing, BlockWord.Generation(word), MyBit);
            if (BlockWord.State(word) == BlockState.Free && view.File == Volatile.Read(ref _table.File(index))
                && Interlocked.CompareExchange(ref Word(index), writing, word) == word)
                _files.GiveUp(index);
        }

        foreach (int index in _idle.Drop())
        {
            if (_views[index] is { } view) Unmap(index, view);
        }
    }

    /// <summary>Releases the memory of a file that no message names any more.</summary>
    private void Unmap(int index, MappedBlock view)
    {
        lock (_gate)
        {
            if (_views[index] != view || view.File != Volatile.Read(ref _table.File(index))) return;
            _views[index] = null;
            view.Retire();
        }
    }

    /// <summary>Frees each block that was sent and that no message names any more.</summary>
    public void Collect()
    {
        foreach (BlockDescriptor block in _recovery.FindUnreferenced()) End(block);
    }

    public (int Lent, int Free, long Bytes) Count()
    {
        int lent = 0, free = 0;
        long bytes = 0;
        for (int i = 0; i < _blocks; i++)
        {
            if (BlockWord.State(Volatile.Read(ref Word(i))) == BlockState.Free) free++;
            else lent++;
            bytes += Math.Clamp(Volatile.Read(ref _table.Size(i)), 0, PoolLayout.MostBlockBytes);
        }

        return (lent, free, bytes);
    }

    /// <summary>Closes the pool once nothing that was borrowed or held through it is left:
    /// until then its memory stays mapped.</summary>
    public void Close() => Leave();

    private void Leave()
    {
        if (Interlocked.Decrement(ref _outstanding) > 0) return;
        foreach (MappedBlock? view in _views) view?.Retire();
        _participants.Leave();
        _segment.Close();
    }

    private bool TryChange(in BlockDescriptor block, BlockState from, BlockState to, uint holdersFrom, uint holdersTo)
    {
        if ((uint)block.Block >= (uint)_blocks) return false;
        long word = BlockWord.Make(from, block.Generation, holdersFrom);
        return Interlocked.CompareExchange(ref Word(block.Block), BlockWord.Make(to, block.Generation, holdersTo), word) == word;
    }

    /// <summary>The word of the block that a descriptor names, while it still does.</summary>
    private bool Find(in BlockDescriptor block, out long word)
    {
        word = 0;
        if ((uint)block.Block >= (uint)_blocks) return false;
        // Acquire: pairs with the changes of state; the entry's fields are those of this state.
        word = Volatile.Read(ref Word(block.Block));
        return BlockWord.Generation(word) == (block.Generation & BlockWord.GenerationMask)
            && block.File == Volatile.Read(ref _table.File(block.Block));
    }

    private MappedBlock View(int index, int file)
    {
        MappedBlock? view = Volatile.Read(ref _views[index]);
        if (view is not null && view.File == file) return view;
        lock (_gate)
        {
            view = _views[index];
            if (view is not null && view.File == file) return view;
            // Another file was made for the entry while nobody held its block. Whoever looks at the old one
            // all the same sees zeros from now on.
            view?.Retire();
            view = new MappedBlock(file, _files.PathOf(index, file));
            Volatile.Write(ref _views[index], view);
            return view;
        }
    }

    private ref long Word(int index) => ref _table.Word(index);
}
