using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Messages over the slot's size, and blocks that a user borrows: the slot holds a descriptor, and the block is the message's from the
// commit to
// the message's end. The pool is opened when it is first needed.

internal sealed class SlotLoans(SlotTable slots, MmapQueueOptions options, IBlockReferences references) : ILoanOwner
{
    /// <summary>Blocks beyond one for each slot: those being written, or held beyond their messages.</summary>
    private const int SpareBlocks = 64;

    private readonly Lock _opening = new();
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;
    private LoanPool? _pool;
    private BlockDescriptor[]? _reserved;
    private bool _lacksBlocks;

    /// <summary>Whether the last sender had no free block. No bell rings for the blocks that a participant holds
    /// beyond their message.</summary>
    public bool LacksBlocks => Volatile.Read(ref _lacksBlocks);

    public LoanPool Pool
    {
        get
        {
            if (Volatile.Read(ref _pool) is { } open) return open;
            lock (_opening)
            {
                if (_pool is null) Volatile.Write(ref _pool,
                    LoanPool.Open(slots.Segment, _layout.Slots + SpareBlocks, references, options.WritableLoans));
                return _pool;
            }
        }
    }

    public bool TryLoan(int bytes, out Loan loan)
    {
        loan = default;
        if (_layout.SlotBytes < BlockDescriptor.Bytes || options.MaxLoanBytes == 0)
            throw new NotSupportedException(
                $"this queue does not support loans: its slots have {_layout.SlotBytes} bytes, and MaxLoanBytes is "
                + $"{options.MaxLoanBytes:N0}; use slots of {BlockDescriptor.Bytes} bytes at least, and raise MaxLoanBytes");
        if (bytes < 1 || bytes > options.MaxLoanBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes),
                $"a loan of {bytes:N0} bytes is not within 1 to {options.MaxLoanBytes:N0}; raise MaxLoanBytes");
        slots.Gate.Enter();
        bool lent = false;
        try
        {
            if (!Pool.TryBorrow(bytes, out BlockDescriptor block, out Memory<byte> memory)) return false;
            loan = new Loan(this, block.ToToken(), memory);
            return lent = true; // what is in flight now ends with the loan
        }
        finally
        {
            if (!lent) slots.Gate.Exit();
        }
    }

    public bool TrySend(in Loan loan, int bytes)
    {
        if (!loan.TryGetToken(this, out SlotToken token))
            throw new ArgumentException("this loan was not borrowed from this handle of the queue", nameof(loan));
        if ((uint)bytes > (uint)loan.Memory.Length)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"{bytes:N0} bytes of a loan of {loan.Memory.Length:N0} cannot be sent");
        slots.Gate.Enter();
        int leaving = 1;
        try
        {
            if (!slots.Moves.TryClaim(out int slot, out long word)) return false;
            BlockDescriptor block = BlockDescriptor.Of(token, bytes);
            if (!Pool.TryBeginSend(block))
            {
                slots.Moves.TryRelease(new SlotToken(word, slot));
                throw new InvalidOperationException("this loan was already sent or returned");
            }

            Commit(slot, word, block, TimeSpan.Zero, begun: true);
            leaving = 2; // the call, and the loan
            return true;
        }
        finally
        {
            slots.Gate.Exit(leaving);
        }
    }

    void ILoanOwner.ReturnLoan(in SlotToken token)
    {
        if (!slots.Gate.TryEnterLate()) return;
        slots.Gate.Exit(Pool.ReturnBlock(BlockDescriptor.Of(token, 0)) ? 2 : 1);
    }

    void ILoanOwner.Release(in SlotToken token)
    {
        if (!slots.Gate.TryEnterLate()) return;
        Pool.ReleaseHold(BlockDescriptor.Of(token, 0));
        slots.Gate.Exit(2);
    }

    public PayloadRetention Hold(in SlotToken token, ReadOnlyMemory<byte> payload)
    {
        slots.Gate.Enter();
        bool held = false;
        try
        {
            if (Volatile.Read(ref slots.Moves.Word(token.Index)) != token.Word) throw new InvalidOperationException("this lease has ended");
            if (Volatile.Read(ref _map.Byte(_layout.Slot(token.Index) + QueueLayout.Kind)) != QueueLayout.KindLoan)
                return new PayloadRetention(payload.ToArray());
            BlockDescriptor block = BlockDescriptor.Read(_map, _layout.Slot(token.Index) + QueueLayout.Payload);
            if (!Pool.HasSeat) return new PayloadRetention(payload.ToArray());
            if (!Pool.TryHold(block)) throw new InvalidOperationException("this lease has ended");
            held = true; // what is in flight now ends with the hold
            return new PayloadRetention(payload, this, block.ToToken());
        }
        finally
        {
            if (!held) slots.Gate.Exit();
        }
    }

    public bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id)
    {
        id = default;
        slots.Gate.Enter();
        try
        {
            if (!TryFillBlock(message, out BlockDescriptor block, out int slot, out long word)) return false;
            id = WorkId.FromToken(new SlotToken(SlotWord.Lap(word), slot));
            Commit(slot, word, block, delay);
            return true;
        }
        finally
        {
            slots.Gate.Exit();
        }
    }

    public bool TrySendAndLease(IWorkLeaseOwner owner, ReadOnlySpan<byte> message, out WorkLease lease)
    {
        lease = default;
        slots.Gate.Enter();
        bool kept = false;
        try
        {
            if (!TryFillBlock(message, out BlockDescriptor block, out int slot, out long word)) return false;
            block.Write(_map, _layout.Slot(slot) + QueueLayout.Payload);
            Pool.TryBeginSend(block);
            long leased = slots.Moves.Keep(slot, word, block.Length, QueueLayout.KindLoan);
            Pool.EndSend(block);
            slots.Segment.Meter.Sent(block.Length);
            lease = LeaseOf(owner, slot, leased);
            return kept = true; // what is in flight now ends with the lease
        }
        finally
        {
            if (!kept) slots.Gate.Exit();
        }
    }

    public bool TryReserve(IWriteSlotOwner owner, int bytes, out WriteSlot slot)
    {
        slot = default;
        slots.Gate.Enter();
        bool reserved = false;
        try
        {
            if (!TryBorrow(bytes, out BlockDescriptor block, out Memory<byte> memory)) return false;
            if (!slots.Moves.TryClaim(out int index, out long word))
            {
                Pool.ReturnBlock(block);
                return false;
            }

            BlockDescriptor[] pending = Volatile.Read(ref _reserved)
                ?? Interlocked.CompareExchange(ref _reserved, new BlockDescriptor[_layout.Slots], null) ?? _reserved;
            pending[index] = block;
            slot = new WriteSlot(owner, new SlotToken(word, index), memory.Span);
            return reserved = true; // what is in flight now ends with commit or abort
        }
        finally
        {
            if (!reserved) slots.Gate.Exit();
        }
    }

    /// <summary>Commits a reserved slot that has a block.</summary>
    public bool TryCommit(in SlotToken token, int bytes)
    {
        if (_reserved is null || _reserved[token.Index].File == 0) return false;
        BlockDescriptor block = _reserved[token.Index] with { Length = bytes };
        _reserved[token.Index] = default;
        Commit(token.Index, token.Word, block, TimeSpan.Zero, Pool.TryBeginSend(block));
        return true;
    }

    /// <summary>Takes the block of a reserved slot. Call it before the slot is released, because the slot's next owner
    /// uses the same place.</summary>
    public BlockDescriptor TakeReserved(in SlotToken token)
    {
        // The word is exact: while it is this reservation's, so is what stands here.
        if (_reserved is null || Volatile.Read(ref slots.Moves.Word(token.Index)) != token.Word) return default;
        BlockDescriptor block = _reserved[token.Index];
        _reserved[token.Index] = default;
        return block;
    }

    private bool TryBorrow(int bytes, out BlockDescriptor block, out Memory<byte> memory)
    {
        bool borrowed = Pool.TryBorrow(bytes, out block, out memory);
        Volatile.Write(ref _lacksBlocks, !borrowed);
        return borrowed;
    }

    /// <summary>Borrows a block, copies a message into it, and claims a slot for it.</summary>
    public bool TryFillBlock(ReadOnlySpan<byte> message, out BlockDescriptor block, out int slot, out long word)
    {
        slot = 0;
        word = 0;
        if (!TryBorrow(message.Length, out block, out Memory<byte> memory)) return false;
        message.CopyTo(memory.Span);
        if (slots.Moves.TryClaim(out slot, out word)) return true;
        Pool.ReturnBlock(block);
        return false;
    }

    /// <summary>Names the block in a claimed slot and commits that.</summary>
    private void Commit(int slot, long word, in BlockDescriptor block, TimeSpan delay, bool begun = false)
    {
        block.Write(_map, _layout.Slot(slot) + QueueLayout.Payload);
        if (!begun) Pool.TryBeginSend(block);
        if (delay == TimeSpan.Zero) slots.Moves.Fill(slot, word, block.Length, QueueLayout.KindLoan);
        else slots.Moves.Delay(slot, word, block.Length, DelayedSlots.DueAfter(delay), QueueLayout.KindLoan);
        Pool.EndSend(block);
        slots.Segment.Meter.Sent(block.Length);
    }

    public WorkLease LeaseOf(IWorkLeaseOwner owner, int slot, long word)
    {
        BlockDescriptor block = BlockDescriptor.Read(_map, _layout.Slot(slot) + QueueLayout.Payload);
        try
        {
            return new WorkLease(owner, new SlotToken(word, slot), Pool.Read(block), SlotWord.Attempts(word) + 1);
        }
        catch (CorruptSegmentException e)
        {
            slots.ThrowBadSlot(slot, word, e.Message);
            throw;
        }
        catch
        {
            // This process cannot read it (no descriptors, too many holders); another may.
            slots.Moves.TryReturn(new SlotToken(word, slot), SlotWord.Attempts(word));
            throw;
        }
    }

    /// <summary>Frees the block of a message that has come to its end.</summary>
    public void End(BlockDescriptor block) => Pool.End(block);

    /// <summary>Copies the beginning of a block, as far as it fits.</summary>
    /// <returns>How many bytes were copied.</returns>
    public int CopyStart(BlockDescriptor block, Span<byte> copy)
    {
        try
        {
            ReadOnlySpan<byte> bytes = Pool.Read(block).Span;
            int length = Math.Min(bytes.Length, copy.Length);
            bytes[..length].CopyTo(copy);
            return length;
        }
        catch (Exception e) when (e is CorruptSegmentException or ObjectDisposedException)
        {
            return 0; // As in ReadCopy.
        }
    }

    public byte[] ReadCopy(BlockDescriptor block)
    {
        try
        {
            return Pool.Read(block).ToArray();
        }
        catch (Exception e) when (e is CorruptSegmentException or ObjectDisposedException)
        {
            return []; // it moved on under the look; the caller looks again at its word
        }
    }

    /// <summary>
    /// Sweeps borrowers and holders; after a sweep of the queue also what a death left between a message's end and its
    /// block's.
    /// </summary>
    public void RunMaintenance(bool swept)
    {
        if (_pool is null && !(swept && LoanPool.Exists(slots.Segment))) return;
        Pool.RunMaintenance();
        if (swept) Pool.Collect();
    }

    /// <summary>Closes the pool once nothing that was borrowed or held through it is left.</summary>
    public void Close() => _pool?.Close();
}
