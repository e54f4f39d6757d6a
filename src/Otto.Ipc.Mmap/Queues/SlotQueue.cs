using System.Runtime.CompilerServices;
using System.Text;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// One handle of a work queue. Each step is one CAS of a slot's word, which says who moves the slot from then on; a cell in an index
// queue then says where to find it. What a death leaves between the two is repaired by QueueSweep. docs/layouts.md has the table.

internal sealed class SlotQueue : IWorkQueue, IWriteSlotOwner, IWorkLeaseOwner, IHousekept
{
    private readonly SegmentFile _segment;
    private readonly SegmentMapping _map;
    private readonly QueueLayout _layout;
    private readonly IndexQueue _free;
    private readonly IndexQueue _ready;
    private readonly Doorbell _workerBell;
    private readonly Doorbell _senderBell;
    private readonly Participants _participants;
    private readonly Membership _membership;
    private readonly QueueSweep _sweep;
    private readonly HandleGate _gate;
    private readonly SlotMemory?[] _memories;
    private readonly SpinBudget _workerSpin;
    private readonly SpinBudget _senderSpin;
    private readonly WaitMode _waitMode;
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
        _free = new IndexQueue(_map, plan.Control(0), plan.Control(1), _layout.FreeCells, _layout.Cells, segment.Path);
        _ready = new IndexQueue(_map, plan.Control(2), plan.Control(3), _layout.ReadyCells, _layout.Cells, segment.Path);
        _workerBell = new Doorbell(_map, plan.Control(4), new NotEmpty(_ready), signallersFence: true);
        _senderBell = new Doorbell(_map, plan.Control(5), new NotEmpty(_free), signallersFence: true);
        _sweep = new QueueSweep(_map, _layout, _free, _ready);
        _gate = new HandleGate(Release);
        _memories = new SlotMemory?[_layout.Slots];
        _workerSpin = new SpinBudget(options.SpinLimit);
        _senderSpin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        try
        {
            _participants = Participants.Join(segment, ParticipantRoles.Sends, Repair);
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
            if (!TryTake(_free, SlotState.Released, SlotState.Writing, out int slot, out long word)) return false;
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            Fill(slot, word, message.Length);
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
            if (!TryTake(_free, SlotState.Released, SlotState.Writing, out int index, out long word)) return false;
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
            if (!TryTake(_free, SlotState.Released, SlotState.Writing, out int slot, out long word)) return false;
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            Describe(slot, message.Length);
            if (FaultPoints.On) FaultPoints.Reach("queue.keep.described");
            long leased = SlotWord.Move(word, SlotState.Leased, _participants.Me);
            // Release: the commit. Pairs with the acquire in QueueSweep, which gives the message to others should this process die.
            Volatile.Write(ref Word(slot), leased);
            if (FaultPoints.On) FaultPoints.Reach("queue.keep.word");
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
            if (!TryTake(_ready, SlotState.Filled, SlotState.Leased, out int slot, out long word)) return false;
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

    public bool WaitToSend(TimeSpan timeout, CancellationToken cancellation = default) => Wait(_senderBell, _senderSpin, timeout, cancellation);

    public bool WaitToLease(TimeSpan timeout, CancellationToken cancellation = default) => Wait(_workerBell, _workerSpin, timeout, cancellation);

    public ValueTask WaitToSendAsync(CancellationToken cancellation = default) => WaitAsync(_senderBell, cancellation);

    public ValueTask WaitToLeaseAsync(CancellationToken cancellation = default) => WaitAsync(_workerBell, cancellation);

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
            Span<int> states = stackalloc int[16];
            for (int i = 0; i < _layout.Slots; i++) states[(int)SlotWord.State(Volatile.Read(ref Word(i)))]++;
            TimeSpan oldest = default;
            if (_ready.TryPeek(out _, out long cell) && IndexCell.Slot(cell) is var slot && slot < _layout.Slots && IsLive(cell, Volatile.Read(ref Word(slot)), SlotState.Filled))
            {
                // The time is shared, so it may be anything: an age lies between nothing and the machine's own.
                long now = Environment.TickCount64;
                oldest = TimeSpan.FromMilliseconds(now - Math.Clamp(Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.SentAt)), 0, now));
            }

            return new WorkQueueCounts(
                states[(int)SlotState.Filled], states[(int)SlotState.Leased], states[(int)SlotState.Dead], states[(int)SlotState.Released], oldest);
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
            var letters = new List<DeadLetter>();
            for (int i = 0; i < _layout.Slots && letters.Count < max; i++)
            {
                long word = Volatile.Read(ref Word(i));
                if (SlotWord.State(word) != SlotState.Dead) continue;
                int length = Math.Clamp(_map.Int(_layout.Slot(i) + QueueLayout.Length), 0, _layout.SlotBytes);
                int noteLength = Math.Clamp(_map.Int(_layout.Slot(i) + QueueLayout.NoteLength), 0, QueueLayout.NoteBytes);
                var letter = new DeadLetter(
                    new DeadLetterId(word, i),
                    _map.Bytes(_layout.Slot(i) + QueueLayout.Payload, length).ToArray(),
                    SlotWord.Attempts(word),
                    Encoding.UTF8.GetString(_map.Bytes(_layout.Note(i), noteLength)));
                // Copied while nobody moved it: the fence keeps the copy before the second look, and a moved word never comes back.
                Interlocked.MemoryBarrier();
                if (Volatile.Read(ref Word(i)) == word) letters.Add(letter);
            }

            return letters;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public bool Requeue(DeadLetterId id) => MoveDead(id, SlotState.Filled, _ready, _workerBell);

    public bool Drop(DeadLetterId id) => MoveDead(id, SlotState.Released, _free, _senderBell);

    public void Look()
    {
        lock (_closing)
        {
            if (_released) return;
            if (_workerBell.HasWaiters && _workerBell.Readiness.IsReady) _workerBell.Ring();
            if (_senderBell.HasWaiters && _senderBell.Readiness.IsReady) _senderBell.Ring();
            if (_participants.SweepDead() == 0) return;
            _workerBell.Ring();
            _senderBell.Ring();
        }
    }

    public void Dispose()
    {
        if (!_gate.Close()) return;
        // Waiters are calls in flight: they wake, see that the handle is closed, and leave.
        _workerBell.Ring();
        _senderBell.Ring();
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
        // The word is exact: a slot that was committed or aborted through another copy of the struct has moved on.
        if (!_gate.TryEnterLate()) return false;
        int leaving = 1;
        try
        {
            if (Volatile.Read(ref Word(token.Index)) != token.Word) return false;
            leaving = 2;
            Fill(token.Index, token.Word, bytes);
            return true;
        }
        finally
        {
            _gate.Exit(leaving);
        }
    }

    void IWriteSlotOwner.Abort(in SlotToken token) => End(token, SlotState.Released, SlotWord.Attempts(token.Word), _free, _senderBell);

    bool IWorkLeaseOwner.Complete(in SlotToken token) => End(token, SlotState.Released, 0, _free, _senderBell);

    bool IWorkLeaseOwner.Abandon(in SlotToken token, bool countAttempt)
    {
        int attempts = SlotWord.Attempts(token.Word) + (countAttempt ? 1 : 0);
        return countAttempt && attempts >= _layout.MaxAttempts
            ? GiveUp(token, attempts, $"given back {attempts} times, the queue's limit")
            : End(token, SlotState.Filled, attempts, _ready, _workerBell);
    }

    bool IWorkLeaseOwner.DeadLetter(in SlotToken token, string reason) => GiveUp(token, SlotWord.Attempts(token.Word) + 1, reason);

    /// <summary>Takes the first slot of an index queue by moving its word; steps over cells whose slots have moved on.</summary>
    private bool TryTake(IndexQueue queue, SlotState from, SlotState to, out int slot, out long word)
    {
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            word = 0;
            slot = 0;
            if (!queue.TryPeek(out long head, out long cell)) return false;
            slot = IndexCell.Slot(cell);
            if (slot >= _layout.Slots) throw new CorruptSegmentException($"{_segment.Path}: a cell names slot {slot:N0} of {_layout.Slots:N0}");
            // Acquire: pairs with the release in Fill and the CAS in End; the slot's bytes are those that its word speaks of.
            long seen = Volatile.Read(ref Word(slot));
            if (IsLive(cell, seen, from))
            {
                word = SlotWord.Move(seen, to, _participants.Me);
                // Full fence: this is the take. It fails where another took the slot first, or swept it.
                if (Interlocked.CompareExchange(ref Word(slot), word, seen) != seen) continue;
                if (FaultPoints.On) FaultPoints.Reach("queue.take.word");
                queue.Advance(head);
                if (FaultPoints.On) FaultPoints.Reach("queue.take.head");
                return true;
            }

            queue.Advance(head);
        }

        throw queue.NoProgress("take");
    }

    private static bool IsLive(long cell, long word, SlotState state) =>
        SlotWord.State(word) == state && (SlotWord.Lap(word) & IndexCell.LapMask) == IndexCell.Lap(cell);

    private void Describe(int slot, int length)
    {
        long at = _layout.Slot(slot);
        _map.Int(at + QueueLayout.Length) = length;
        _map.Int(at + QueueLayout.Kind) = QueueLayout.KindInline;
        _map.Long(at + QueueLayout.SentAt) = Environment.TickCount64;
        _map.Long(at + QueueLayout.NotBefore) = 0;
        _map.Int(at + QueueLayout.NoteLength) = 0;
    }

    private void Fill(int slot, long writing, int length)
    {
        Describe(slot, length);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.described");
        long filled = SlotWord.NextLap(writing, SlotState.Filled, _participants.Me, attempts: 0);
        // Release: the commit. Pairs with the acquire in TryTake. A plain store, since nobody moves what a live participant is writing;
        // from here on the message survives this process, and a sweeper appends the cell if this process cannot.
        Volatile.Write(ref Word(slot), filled);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.word");
        _ready.Push(slot, SlotWord.Lap(filled));
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.pushed");
        if (_workerBell.SomeoneWaits) _workerBell.Ring();
    }

    private bool End(in SlotToken token, SlotState state, int attempts, IndexQueue queue, Doorbell bell)
    {
        if (!_gate.TryEnterLate()) return false;
        int leaving = 1;
        try
        {
            long next = SlotWord.NextLap(token.Word, state, _participants.Me, attempts);
            // Exact, full fence: this is the completion, or the return. The one who moves the word owes the cell.
            if (Interlocked.CompareExchange(ref Word(token.Index), next, token.Word) != token.Word) return false;
            leaving = 2;
            if (FaultPoints.On) FaultPoints.Reach("queue.end.word");
            if (!FaultPoints.On || !FaultPoints.Plants("queue.end.forgets-cells")) queue.Push(token.Index, SlotWord.Lap(next));
            if (FaultPoints.On) FaultPoints.Reach("queue.end.pushed");
            if (bell.SomeoneWaits) bell.Ring();
            return true;
        }
        finally
        {
            _gate.Exit(leaving);
        }
    }

    private bool GiveUp(in SlotToken token, int attempts, string reason)
    {
        if (!_gate.TryEnterLate()) return false;
        int leaving = 1;
        try
        {
            if (Volatile.Read(ref Word(token.Index)) != token.Word) return false;
            _sweep.WriteNote(token.Index, reason);
            if (FaultPoints.On) FaultPoints.Reach("queue.give-up.note");
            long dead = SlotWord.Make(SlotState.Dead, SlotWord.Nobody, Math.Min(attempts, SlotWord.MaxAttempts), SlotWord.Lap(token.Word));
            // Full fence: the note is visible before the state that says it is there.
            if (Interlocked.CompareExchange(ref Word(token.Index), dead, token.Word) != token.Word) return false;
            leaving = 2;
            return true;
        }
        finally
        {
            _gate.Exit(leaving);
        }
    }

    private bool MoveDead(DeadLetterId id, SlotState state, IndexQueue queue, Doorbell bell)
    {
        if ((uint)id.Index >= (uint)_layout.Slots || SlotWord.State(id.Word) != SlotState.Dead) return false;
        _gate.Enter();
        // What End does for a lease it does for a dead letter: the exact word is the claim. It ends the call too, where it succeeds.
        if (End(new SlotToken(id.Word, id.Index), state, attempts: 0, queue, bell)) return true;
        _gate.Exit();
        return false;
    }

    private WorkLease LeaseOf(int slot, long word, int length)
    {
        SlotMemory memory = _memories[slot] ??= new SlotMemory(_map, _layout.Slot(slot) + QueueLayout.Payload, _layout.SlotBytes);
        return new WorkLease(this, new SlotToken(word, slot), memory.Memory[..length], SlotWord.Attempts(word) + 1);
    }

    private bool Wait(Doorbell bell, SpinBudget spin, TimeSpan timeout, CancellationToken cancellation)
    {
        _gate.Enter();
        try
        {
            return bell.Wait(spin, timeout, new WaitStop(_gate, cancellation), _waitMode);
        }
        finally
        {
            _gate.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAsync(Doorbell bell, CancellationToken cancellation)
    {
        _gate.Enter();
        try
        {
            await bell.WaitAsync(new WaitStop(_gate, cancellation), _waitMode).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
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
        _gate.Enter(); // GiveUp ends a lease, which this is not yet
        string problem = $"slot {slot:N0} has length {length:N0} of {_layout.SlotBytes:N0} and kind {kind}";
        // Set aside, so that the next lease does not meet it again.
        if (!GiveUp(new SlotToken(word, slot), SlotWord.Attempts(word), problem)) _gate.Exit();
        throw new CorruptSegmentException($"{_segment.Path}: {problem}; it was put among the dead letters");
    }

    private ref long Word(int slot) => ref _map.Long(_layout.Slot(slot));

    private sealed class NotEmpty(IndexQueue queue) : IReadiness
    {
        public bool IsReady => !queue.IsEmpty;
    }
}
