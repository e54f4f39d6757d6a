using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// One handle of a work queue: counts what is in flight on it, checks sizes, waits. The protocol's steps are in SlotMoves; what a death
// leaves between two of them is repaired by QueueSweep.

internal sealed class SlotQueue : IWorkQueue, IWriteSlotOwner, IWorkLeaseOwner, IHousekept
{
    private readonly SegmentFile _segment;
    private readonly SegmentMapping _map;
    private readonly QueueLayout _layout;
    private readonly GatedBell _workers;
    private readonly GatedBell _senders;
    private readonly Participants _participants;
    private readonly Membership _membership;
    private readonly QueueSweep _sweep;
    private readonly SlotMoves _moves;
    private readonly QueueView _view;
    private readonly HandleGate _gate;
    private readonly SlotMemory?[] _memories;
    private readonly Lock _closing = new();
    private bool _released;
    private bool _takesWork;

    public SlotQueue(SegmentFile segment, ChannelName name, MmapQueueOptions options)
    {
        Name = name;
        _segment = segment;
        _map = segment.Mapping;
        SegmentPlan plan = segment.Plan;
        _layout = new QueueLayout(plan);
        var free = new IndexQueue(_map, plan.Control(0), plan.Control(1), _layout.FreeCells, _layout.Cells, segment.Path);
        var ready = new IndexQueue(_map, plan.Control(2), plan.Control(3), _layout.ReadyCells, _layout.Cells, segment.Path);
        _gate = new HandleGate(Release);
        _workers = new GatedBell(_map, plan.Control(4), ready, _gate, options);
        _senders = new GatedBell(_map, plan.Control(5), free, _gate, options);
        _sweep = new QueueSweep(_map, _layout, free, ready);
        _view = new QueueView(_map, _layout, ready);
        _memories = new SlotMemory?[_layout.Slots];
        try
        {
            _participants = Participants.Join(segment, ParticipantRoles.Sends, Repair);
            _moves = new SlotMoves(_map, _layout, free, ready, _workers.Bell, _senders.Bell, _sweep, segment.Path, _participants.Me);
            _membership = new Membership(_map, plan.Control(6), _participants);
            Look();
        }
        catch
        {
            _participants?.Leave();
            segment.Close();
            throw;
        }

        Housekeeper.Register(this);
    }

    public ChannelName Name { get; }

    public int MaxMessageBytes => _layout.SlotBytes;

    public int Capacity => _layout.Slots;

    public bool TakesWork
    {
        get => _takesWork;
        set
        {
            _gate.Enter();
            try
            {
                _takesWork = value;
                _membership.Announce(value);
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    public int OtherWorkers
    {
        get
        {
            _gate.Enter();
            try
            {
                return _membership.OtherWorkers();
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    public bool TrySend(ReadOnlySpan<byte> message)
    {
        CheckSize(message.Length);
        _gate.Enter();
        try
        {
            if (!_moves.TryClaim(out int slot, out long word)) return false;
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            _moves.Fill(slot, word, message.Length);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        CheckSize(maxBytes);
        slot = default;
        _gate.Enter();
        bool reserved = false;
        try
        {
            if (!_moves.TryClaim(out int index, out long word)) return false;
            reserved = true; // what is in flight now ends with commit or abort
            slot = new WriteSlot(this, new SlotToken(word, index), _map.Bytes(_layout.Slot(index) + QueueLayout.Payload, maxBytes));
            return true;
        }
        finally
        {
            if (!reserved) _gate.Exit();
        }
    }

    public bool TryKeep(ReadOnlySpan<byte> message, out WorkLease lease)
    {
        CheckSize(message.Length);
        lease = default;
        _gate.Enter();
        bool kept = false;
        try
        {
            if (!_moves.TryClaim(out int slot, out long word)) return false;
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            long leased = _moves.Keep(slot, word, message.Length);
            lease = LeaseOf(slot, leased, message.Length);
            kept = true;
            return true;
        }
        finally
        {
            if (!kept) _gate.Exit();
        }
    }

    public bool TryLease(out WorkLease lease)
    {
        lease = default;
        _gate.Enter();
        bool leased = false;
        try
        {
            if (!_moves.TryLease(out int slot, out long word)) return false;
            // Read once: it is shared, so it may hold anything, and may change after the check.
            int length = Volatile.Read(ref _map.Int(_layout.Slot(slot) + QueueLayout.Length));
            int kind = Volatile.Read(ref _map.Int(_layout.Slot(slot) + QueueLayout.Kind));
            if ((uint)length > (uint)_layout.SlotBytes || kind != QueueLayout.KindInline) ThrowBadSlot(slot, word, length, kind);
            lease = LeaseOf(slot, word, length);
            leased = true; // what is in flight now ends with the lease
            return true;
        }
        finally
        {
            if (!leased) _gate.Exit();
        }
    }

    public bool WaitToSend(TimeSpan timeout, CancellationToken cancellation = default) => _senders.Wait(timeout, cancellation);

    public bool WaitToLease(TimeSpan timeout, CancellationToken cancellation = default) => _workers.Wait(timeout, cancellation);

    public ValueTask WaitToSendAsync(CancellationToken cancellation = default) => _senders.WaitAsync(cancellation);

    public ValueTask WaitToLeaseAsync(CancellationToken cancellation = default) => _workers.WaitAsync(cancellation);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        while (!TrySend(message.Span)) await WaitToSendAsync(cancellation).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<WorkLease> LeaseAsync(CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        WorkLease lease;
        while (!TryLease(out lease)) await WaitToLeaseAsync(cancellation).ConfigureAwait(false);
        return lease;
    }

    public WorkQueueCounts GetCounts()
    {
        _gate.Enter();
        try
        {
            return _view.Count();
        }
        finally
        {
            _gate.Exit();
        }
    }

    public IReadOnlyList<DeadLetter> GetDeadLetters(int max = 100)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(max);
        _gate.Enter();
        try
        {
            return _view.DeadLetters(max);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public bool Requeue(DeadLetterId id) => MoveDead(id, Ending.Returned);

    public bool Drop(DeadLetterId id) => MoveDead(id, Ending.Released);

    public void Look()
    {
        lock (_closing)
        {
            if (_released) return;
            _workers.RingIfMissed();
            _senders.RingIfMissed();
            if (_participants.SweepDead() == 0) return;
            _workers.Bell.Ring();
            _senders.Bell.Ring();
        }
    }

    public void Dispose()
    {
        if (!_gate.Close()) return;
        // Waiters are calls in flight: they wake, see that the handle is closed, and leave.
        _workers.Bell.Ring();
        _senders.Bell.Ring();
        if (_takesWork) _membership.Announce(false);
        _gate.Exit();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    bool IWriteSlotOwner.Commit(in SlotToken token, int bytes)
    {
        if (!_gate.TryEnterLate()) return false;
        int leaving = 1;
        try
        {
            // The word is exact: a slot that was committed or aborted through another copy of the struct has moved on.
            if (Volatile.Read(ref _moves.Word(token.Index)) != token.Word) return false;
            leaving = 2;
            _moves.Fill(token.Index, token.Word, bytes);
            return true;
        }
        finally
        {
            _gate.Exit(leaving);
        }
    }

    void IWriteSlotOwner.Abort(in SlotToken token) => End(token, Ending.Released);

    bool IWorkLeaseOwner.Complete(in SlotToken token) => End(token, Ending.Released);

    bool IWorkLeaseOwner.Abandon(in SlotToken token, bool countAttempt)
    {
        int attempts = SlotWord.Attempts(token.Word) + (countAttempt ? 1 : 0);
        return countAttempt && attempts >= _layout.MaxAttempts
            ? End(token, Ending.GivenUp, attempts, $"given back {attempts} times, the queue's limit")
            : End(token, Ending.Returned, attempts);
    }

    bool IWorkLeaseOwner.DeadLetter(in SlotToken token, string reason) => End(token, Ending.GivenUp, SlotWord.Attempts(token.Word) + 1, reason);

    /// <summary>Ends what is in flight: a reserved slot or a lease. Allowed after a dispose, which waits for it.</summary>
    private bool End(in SlotToken token, Ending ending, int attempts = 0, string reason = "")
    {
        if (!_gate.TryEnterLate()) return false;
        bool ended = false;
        try
        {
            return ended = Move(token, ending, attempts, reason);
        }
        finally
        {
            _gate.Exit(ended ? 2 : 1);
        }
    }

    private bool Move(in SlotToken token, Ending ending, int attempts, string reason) => ending switch
    {
        Ending.Released => _moves.TryRelease(token),
        Ending.Returned => _moves.TryReturn(token, attempts),
        _ => _moves.TryGiveUp(token, attempts, reason),
    };

    private bool MoveDead(DeadLetterId id, Ending ending)
    {
        if ((uint)id.Index >= (uint)_layout.Slots || SlotWord.State(id.Word) != SlotState.Dead) return false;
        _gate.Enter();
        try
        {
            return Move(new SlotToken(id.Word, id.Index), ending, attempts: 0, "");
        }
        finally
        {
            _gate.Exit();
        }
    }

    private WorkLease LeaseOf(int slot, long word, int length)
    {
        SlotMemory memory = _memories[slot] ??= new SlotMemory(_map, _layout.Slot(slot) + QueueLayout.Payload, _layout.SlotBytes);
        return new WorkLease(this, new SlotToken(word, slot), memory.Memory[..length], SlotWord.Attempts(word) + 1);
    }

    private void Release()
    {
        lock (_closing)
        {
            if (_released) return;
            _released = true;
            _participants.Leave();
            // Again, after the roles are gone: TakesWork may have been set beside the dispose.
            if (_takesWork) _membership.Changed();
            _segment.Close();
        }

        Housekeeper.Unregister(this);
    }

    /// <summary>Repairs what a dead participant left. It may have been a worker, so whoever counts workers counts again.</summary>
    private void Repair(int dead, int me)
    {
        _sweep.Run(dead, me);
        Membership.Changed(_map, _segment.Plan.Control(6));
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)_layout.SlotBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"message of {bytes:N0} bytes exceeds the slot's {_layout.SlotBytes:N0}; create the queue with larger SlotBytes, or send a reference");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowBadSlot(int slot, long word, int length, int kind)
    {
        string problem = $"slot {slot:N0} has length {length:N0} of {_layout.SlotBytes:N0} and kind {kind}";
        // Set aside, so that the next lease does not meet it again.
        _moves.TryGiveUp(new SlotToken(word, slot), SlotWord.Attempts(word), problem);
        throw new CorruptSegmentException($"{_segment.Path}: {problem}; it was put among the dead letters");
    }

    /// <summary>How a slot or lease ends.</summary>
    private enum Ending
    {
        Released,
        Returned,
        GivenUp,
    }
}
