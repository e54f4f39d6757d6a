using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// One handle of a work queue: counts what is in flight on it, waits, looks after its peers; SlotQueue.Messages.cs sends, leases and ends.
// The protocol's steps are in SlotTransitions; what a death leaves between two of them is repaired by QueueRecovery.

internal sealed partial class SlotQueue : SearchableWorkQueue, IWriteSlotOwner, IWorkLeaseOwner, ILoanOwner, IBlockReferences, IMaintained
{
    private readonly SegmentFile _segment;
    private readonly MmapQueueOptions _options;
    private readonly SegmentMapping _map;
    private readonly QueueLayout _layout;
    private readonly QueueDoorbell _workers;
    private readonly QueueDoorbell _senders;
    private readonly Participants _participants;
    private readonly WorkerCount _membership;
    private readonly QueueRecovery _sweep;
    private readonly SlotTransitions _moves;
    private readonly WorkReadiness _work;
    private readonly QueueSnapshot _view;
    private readonly HandleGate _gate;
    private readonly SlotMemoryManager?[] _memories;
    private readonly Lock _closing = new();
    private bool _released;
    private bool _takesWork;

    public SlotQueue(SegmentFile segment, ChannelName name, MmapQueueOptions options)
    {
        Name = name;
        _segment = segment;
        _options = options;
        _map = segment.Mapping;
        SegmentPlan plan = segment.Plan;
        _layout = new QueueLayout(plan);
        var free = new IndexQueue(_map, plan.Control(0), plan.Control(1), _layout.FreeCells, _layout.Cells, segment.Path);
        var ready = new IndexQueue(_map, plan.Control(2), plan.Control(3), _layout.ReadyCells, _layout.Cells, segment.Path);
        _gate = new HandleGate(Release);
        var delayed = new DelayedSlots(_map, _layout, plan.Control(7));
        _work = new WorkReadiness(ready, delayed, this);
        _workers = new QueueDoorbell(_map, plan.Control(4), _work, _gate, options);
        _senders = new QueueDoorbell(_map, plan.Control(5), new RoomReadiness(free, this), _gate, options);
        _sweep = new QueueRecovery(_map, _layout, free, ready, delayed);
        _view = new QueueSnapshot(_map, _layout, ready, ReadLoan);
        _memories = new SlotMemoryManager?[_layout.Slots];
        try
        {
            _participants = Participants.Join(segment, ParticipantRoles.Sends, Repair);
            _moves = new SlotTransitions(_map, _layout, free, ready, _workers.Bell, _senders.Bell, delayed, _sweep, EndLoan, segment.Path, _participants.Me);
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

    /// <summary>The protocol's steps, for those who wait.</summary>
    public SlotTransitions Moves => _moves;

    /// <summary>Whether the queue was seen to be deleted or replaced.</summary>
    public bool IsRetired => _segment.IsRetired;

    public override ChannelName Name { get; }

    public override int MaxMessageBytes => _layout.SlotBytes < BlockDescriptor.Bytes ? _layout.SlotBytes : Math.Max(_layout.SlotBytes, _options.MaxLoanBytes);

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

    public override bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default) => _workers.Wait(timeout, cancellationToken);

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default) => _workers.WaitAsync(cancellationToken);

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

    public override bool RequeueDeadLetter(DeadLetterId id) => MoveDead(id, Ending.Returned);

    public override bool DeleteDeadLetter(DeadLetterId id) => MoveDead(id, Ending.Released);

    public void RunMaintenance() => Look(wake: false);

    /// <summary>Looks around, for the housekeeper or because a delayed message is due.</summary>
    /// <param name="wake">Only wake who waits here; sweep nothing.</param>
    public void Look(bool wake)
    {
        lock (_closing)
        {
            if (_released) return;
            _workers.RingIfMissed();
            _senders.RingIfMissed();
            if (wake) return;
            if (!_segment.IsRetired && _segment.CheckStillLinked())
            {
                _workers.Bell.Ring();
                _senders.Bell.Ring();
            }

            LookAtLoans(swept: false);
            if (_participants.SweepDead() == 0) return;
            LookAtLoans(swept: true);
            _workers.Bell.Ring();
            _senders.Bell.Ring();
        }
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
            _pool?.Close();
            _segment.Close();
        }

        MaintenanceThread.Unregister(this);
    }

    /// <summary>Repairs what a dead participant left. It may have been a worker, so whoever counts workers counts again.</summary>
    private void Repair(int dead, int me)
    {
        _sweep.Run(dead, me);
        WorkerCount.Changed(_map, _segment.Plan.Control(6));
    }
}
