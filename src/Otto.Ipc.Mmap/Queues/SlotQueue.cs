using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;
using Otto.Ipc.Transports;

namespace Otto.Ipc.Mmap.Queues;

// One handle of a work queue: makes its parts, waits, checks on its peers, closes. SlotSender sends, SlotLeases leases and ends, SlotLoans
// does so for messages in blocks, SlotSearch finds.
// The protocol's steps are in SlotTransitions; what a death leaves between two of them is repaired by QueueRecovery.

internal sealed class SlotQueue : LabelledWorkQueue, IMaintained
{
    private readonly SegmentFile _segment;
    private readonly SegmentMapping _map;
    private readonly QueueLayout _layout;
    private readonly QueueDoorbell _workers;
    private readonly QueueDoorbell _senders;
    private readonly Participants _participants;
    private readonly WorkerCount _membership;
    private readonly QueueRecovery _sweep;
    private readonly WorkReadiness _work;
    private readonly RoomReadiness _room;
    private readonly QueueSnapshot _view;
    private readonly SlotTable _slots;
    private readonly SlotLoans _loans;
    private readonly SlotSender _sender;
    private readonly SlotLeases _leases;
    private readonly SlotSearch _search;
    private readonly SlotLabels _labels;
    private readonly SlotResults _results;
    private readonly PassedOverSlots _passedOver;
    private readonly QueueTotals _totals;
    private readonly UseCounter _gate;
    private readonly Lock _closing = new();
    private bool _released;
    private bool _takesWork;
    private int _countedFor;

    public SlotQueue(SegmentFile segment, ChannelName name, MmapQueueOptions options)
    {
        Name = name;
        _segment = segment;
        _map = segment.Mapping;
        SegmentPlan plan = segment.Plan;
        _layout = new QueueLayout(plan);
        var free = new IndexQueue(_map, plan.Control(0), plan.Control(1), _layout.FreeCells, _layout.Cells, segment.Path);
        var ready = new IndexQueue(_map, plan.Control(2), plan.Control(3), _layout.ReadyCells, _layout.Cells, segment.Path);
        _gate = new UseCounter(Release);
        var delayed = new DelayedSlots(_map, _layout, plan.Control(7));
        _work = new WorkReadiness(ready, delayed, segment, () => RunMaintenance(wake: true));
        _room = new RoomReadiness(free, segment, _layout.Slots);
        _workers = new QueueDoorbell(_map, plan.Control(4), _work, _gate, options);
        _senders = new QueueDoorbell(_map, plan.Control(5), _room, _gate, options);
        _totals = new QueueTotals(_map, _layout, free, plan.Control(8));
        var index = new SlotIndex(_map, _layout, _totals);
        var filing = new SlotFiling(_map, _layout, index);
        var kept = new KeptSlots(_map, _layout, plan.Control(9), _totals, options,
            sender => (uint)sender < (uint)_participants!.Count && _participants.IsAlive(sender));
        _sweep = new QueueRecovery(_map, _layout, free, ready, delayed, index, filing, _totals, kept);
        _view = new QueueSnapshot(_map, _layout, free, ready, _totals, block => _loans!.ReadCopy(block));
        try
        {
            _participants = Participants.Join(segment, ParticipantRoles.Sends, Repair);
            var moves = new SlotTransitions(segment, _layout, free, ready, _workers.Bell, _senders.Bell, delayed, _sweep,
                filing, _totals, kept, block => _loans!.End(block), _participants.Me);
            index.CommitUnplaced = moves.CommitOffered;
            _work.Moves = _room.Moves = moves;
            _slots = new SlotTable(segment, _layout, moves, _gate, options.MaxLoanBytes);
            _loans = new SlotLoans(_slots, options, _view);
            _sender = new SlotSender(_slots, _loans);
            _search = new SlotSearch(_slots, _loans, _view);
            _labels = new SlotLabels(_slots, _loans, index, filing, _search, _participants.Me);
            _results = new SlotResults(_slots, _loans, _labels, filing, _view);
            _passedOver = new PassedOverSlots(_slots, plan.Control(10));
            _work.PassedOver = _passedOver;
            _leases = new SlotLeases(_slots, _loans, _results, _passedOver, _workers.Bell);
            _membership = new WorkerCount(_map, plan.Control(6), _participants);
            RunMaintenance();
        }
        catch
        {
            _participants?.Leave();
            segment.Close();
            throw;
        }

        MaintenanceThread.Register(this);
    }

    public override ChannelName Name { get; }

    public override int MaxMessageBytes => _slots.MaxMessageBytes;

    public override int Capacity => _layout.Slots;

    public override bool IsConsumer => _takesWork;

    public override void SetConsumer(bool consumes)
    {
        _gate.Enter();
        try
        {
            _takesWork = consumes;
            _membership.Announce(consumes);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override WorkHandling DefaultHandling
    {
        get => _leases.DefaultHandling;
        set => _leases.DefaultHandling = value;
    }

    public override int OtherConsumers
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

    public override bool TrySend(ReadOnlySpan<byte> message) => _sender.TrySend(message);

    public override bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id) => _sender.TrySend(message, delay, out id);

    public override bool TryReserve(int maxBytes, out WriteSlot slot) => _sender.TryReserve(maxBytes, out slot);

    public override bool Cancel(WorkId id) => _sender.Cancel(id);

    public override bool TryLease(out WorkLease lease) => _leases.TryLease(out lease);

    public override bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease) => _leases.TrySendAndLease(message, out lease);

    public override int CompleteBatch(ReadOnlySpan<WorkLease> leases) => _leases.CompleteBatch(leases);

    public override bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default) =>
        _workers.Wait(timeout, cancellationToken);

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default) => _workers.WaitAsync(cancellationToken);

    /// <summary>Waits for a slot. If a slot is free but blocks are missing, it waits a moment longer, because no bell
    /// rings for the blocks that a participant holds beyond their message.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WaitToSendAsync(CancellationToken cancellationToken = default)
    {
        await _senders.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (_loans.LacksBlocks) await Task.Delay(PortablePause.Longest, cancellationToken).ConfigureAwait(false);
    }

    public override bool WaitToSend(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        if (!_senders.Wait(timeout, cancellationToken)) return false;
        if (_loans.LacksBlocks && timeout != TimeSpan.Zero) cancellationToken.WaitHandle.WaitOne(PortablePause.Longest);
        return true;
    }

    public override bool TryLoan(int bytes, out Loan loan) => _loans.TryLoan(bytes, out loan);

    public override bool TrySend(in Loan loan, int bytes) => _loans.TrySend(loan, bytes);

    public override bool TryFind(WorkMatch match, out WorkId id, out bool held) => _search.TryFind(match, out id, out held);

    public override bool RequestCancel(WorkId id) => _leases.RequestCancel(id);

    public override bool IsCancelRequested(WorkId id) => _leases.IsCancelRequested(id);

    public override bool TryFindDead(WorkMatch match, out int attempts, out string reason) =>
        _search.TryFindDead(match, out attempts, out reason);

    public override bool TryEnterExclusive(TimeSpan timeout, out IDisposable? turn) => _search.TryEnterExclusive(timeout, out turn);

    public override LabelledSendResult TrySend(ReadOnlySpan<byte> message, in MessageLabels labels, TimeSpan delay, KeyMatch? hasKey)
    {
        _slots.CheckSize(message.Length);
        SlotTable.CheckDelay(delay);
        _gate.Enter();
        try
        {
            return delay > TimeSpan.Zero
                ? _labels.TrySend(message, labels, SlotState.Delayed, DelayedSlots.DueAfter(delay), hasKey, out _, out _)
                : _labels.TrySend(message, labels, SlotState.Filled, notBefore: 0, hasKey, out _, out _);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override LabelledSendResult TrySendAndLease(ReadOnlySpan<byte> message, in MessageLabels labels, KeyMatch? hasKey,
        out WorkLease lease) => _leases.TrySendAndLease(_labels, message, labels, hasKey, out lease);

    public override MessageState Find(UInt128 id, out WorkId work)
    {
        _gate.Enter();
        try
        {
            MessageState state = _labels.Find(id, out int slot, out _, out long use);
            work = state == MessageState.Unknown ? default : WorkId.FromToken(new SlotToken(use, slot));
            return state;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override int KeptResults
    {
        get
        {
            _gate.Enter();
            try
            {
                return _totals.Kept;
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    public override bool TryFindKey(ulong key, KeyMatch hasKey, out WorkId id, out bool held)
    {
        ArgumentNullException.ThrowIfNull(hasKey);
        _gate.Enter();
        try
        {
            return _labels.TryFindKey(key, hasKey, out id, out held);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override void WithdrawCancelRequest(WorkId id) => _leases.WithdrawCancelRequest(id);

    public override MessageState TryTakeResult(UInt128 id, out byte[] result)
    {
        _gate.Enter();
        try
        {
            return _results.TryTake(id, out result);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override void VisitPassedOver(WorkMatch visit) => _search.VisitPassedOver(visit);

    public override void SetSubjects(IReadOnlyCollection<ulong> subjects) => _leases.SetSubjects(subjects);

    public override WorkQueueCounts GetCounts()
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

    public override IReadOnlyList<DeadLetter> GetDeadLetters(int max = 100)
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

    public override bool RequeueDeadLetter(DeadLetterId id) => _leases.EndDead(id, Ending.Returned);

    public override bool DeleteDeadLetter(DeadLetterId id) => _leases.EndDead(id, Ending.Released);

    public void RunMaintenance() => RunMaintenance(wake: false);

    /// <summary>Runs one round of checks, for the maintenance thread or because a delayed message is due.</summary>
    /// <param name="wake"><see langword="true"/> to wake only the waiters of this handle and sweep nothing.</param>
    public void RunMaintenance(bool wake)
    {
        lock (_closing)
        {
            if (_released) return;
            if (!wake)
            {
                // Waiters find it in their next poll, and the call after that reports it.
                _work.LooksDamaged();
                _room.LooksDamaged();
            }

            _workers.WakeIfMissed();
            _senders.WakeIfMissed();
            if (wake) return;
            MaintenanceRound round = default;
            round.Run(CheckStillLinked);
            round.Run(CheckKept);
            round.Run(() => _loans.RunMaintenance(swept: false));
            round.Run(SweepDead);
            round.ThrowIfFailed();
        }
    }

    private void CheckStillLinked()
    {
        if (!_segment.IsRetired && _segment.CheckStillLinked()) RingAll();
    }

    private void CheckKept()
    {
        _slots.Moves.DropExpired();
        // Whoever swept a dead participant, perhaps not this one: a total may be wrong by what it had in its hands.
        int membership = Volatile.Read(ref _map.Int(_segment.Plan.Control(6)));
        if (membership != _countedFor) _totals.Distrust();
        _countedFor = membership;
        _totals.CountAgain();
    }

    private void SweepDead()
    {
        if (_participants.SweepDead() == 0) return;
        RingAll();
        _loans.RunMaintenance(swept: true);
    }

    private void RingAll()
    {
        _workers.Bell.Ring();
        _senders.Bell.Ring();
    }

    public override void Dispose()
    {
        if (!_gate.Close()) return;
        // Waiters are calls in flight: they wake, see that the handle is closed, and leave.
        _workers.Bell.Ring();
        _senders.Bell.Ring();
        if (_takesWork) _membership.Announce(false);
        _gate.Exit();
    }

    private void Release()
    {
        lock (_closing)
        {
            if (_released) return;
            _released = true;
            _participants.Leave();
            // Again, after the roles are gone: SetConsumer may have been set beside the dispose.
            if (_takesWork) _membership.Changed();
            _work.Dispose();
            _loans.Close();
            _segment.Close();
        }

        MaintenanceThread.Unregister(this);
    }

    /// <summary>Repairs what a dead participant left. It may have been a worker, so every process that counts workers
    /// counts again.</summary>
    private void Repair(int dead, int me)
    {
        _sweep.Run(dead, me);
        // It may have died before it said that it passed over a message. While this handle joins, there is nobody to say it for.
        _passedOver?.Announce();
        WorkerCount.Changed(_map, _segment.Plan.Control(6));
    }
}
