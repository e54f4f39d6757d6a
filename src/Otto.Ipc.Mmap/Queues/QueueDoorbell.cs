using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// One direction of waiting on a queue, and what each of the two directions waits for. A wait counts as a call in flight. Each poll also
// does what makes the queue ready and is done by no other process: senders release cancelled messages. Workers move what is due to the
// ready messages, and set a timer for the next message that will be due.

internal sealed class QueueDoorbell
{
    private readonly DoorbellWaiter _waiter;
    private readonly IReadiness _readiness;
    private readonly UseCounter _gate;
    private readonly SpinBudget _spin;
    private readonly WaitMode _mode;

    public QueueDoorbell(SegmentMapping map, long offset, IReadiness readiness, UseCounter gate, MmapQueueOptions options)
    {
        // A push is a CAS, so signallers have fenced before they look.
        _waiter = new DoorbellWaiter(map, offset, readiness, signallersFence: true);
        _readiness = readiness;
        _gate = gate;
        _spin = new SpinBudget(options.SpinLimit);
        _mode = options.WaitMode;
    }

    public Doorbell Bell => _waiter.Bell;

    /// <inheritdoc cref="DoorbellWaiter.WakeIfMissed"/>
    public void WakeIfMissed() => _waiter.WakeIfMissed();

    public bool Wait(TimeSpan timeout, CancellationToken cancellationToken)
    {
        _gate.Enter();
        try
        {
            if (!_waiter.Wait(_spin, timeout, new WaitStop(_gate, cancellationToken), _mode)) return false;
            if (_readiness is RoomReadiness room) room.LetWorkersGetAhead();
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        _gate.Enter();
        try
        {
            await _waiter.WaitAsync(new WaitStop(_gate, cancellationToken), _mode).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }
}

/// <summary>Whether there may be a free slot.</summary>
internal sealed class RoomReadiness(IndexQueue free, SegmentFile segment, int slots) : IReadiness
{
    private static readonly long Longest = Stopwatch.Frequency / 200_000; // 5 µs
    private readonly long _enough = Math.Min(slots / 8, 64);

    /// <summary>The protocol's steps. Set once, before any thread waits.</summary>
    public SlotTransitions? Moves { private get; set; }

    public bool Poll() => !free.IsEmpty || segment.IsRetired || free.IsDamaged || (Moves!.TryMakeRoom() && !free.IsEmpty);

    /// <summary>Whether no slot will ever be free again: the next claim throws.</summary>
    public bool LooksDamaged() => free.LooksDamaged();

    /// <summary>Lets the workers get a few slots ahead, for five microseconds at most: a
    /// sender on their heels fights them for each line of memory.</summary>
    public void LetWorkersGetAhead()
    {
        long end = Stopwatch.GetTimestamp() + Longest;
        while (free.AboutCount < _enough && Stopwatch.GetTimestamp() < end) Thread.SpinWait(4);
    }
}

/// <summary>Whether there may be a message to lease.</summary>
internal sealed class WorkReadiness(IndexQueue ready, DelayedSlots delayed, SegmentFile segment, Action wake) : IReadiness, IDisposable
{
    private static readonly TimeSpan LongestSleep = TimeSpan.FromDays(1);
    private readonly Lock _gate = new();
    private Timer? _timer;
    private long _wakeAt = DelayedSlots.None;
    private bool _disposed;

    /// <summary>The protocol's steps. Set once, before any thread waits.</summary>
    public SlotTransitions? Moves { private get; set; }

    /// <summary>What other workers passed over. Set once, before any thread waits.</summary>
    public PassedOverSlots? PassedOver { private get; set; }

    public bool Poll()
    {
        if (!ready.IsEmpty || segment.IsRetired || ready.IsDamaged || PassedOver!.MayHave) return true;
        long lookAt = delayed.LookAt;
        if (lookAt == DelayedSlots.None) return false;
        long now = DelayedSlots.Now;
        if (lookAt <= now)
        {
            Moves!.PromoteDue();
            if (!ready.IsEmpty) return true;
            lookAt = delayed.LookAt;
        }

        // Asked before every sleep, so the timer is set before anybody relies on it; a sender with an
        // earlier time rings, and it is asked again.
        if (lookAt != Volatile.Read(ref _wakeAt) && lookAt != DelayedSlots.None) SetTimer();
        return false;
    }

    /// <summary>Whether no message will ever be ready again: the next lease throws.</summary>
    public bool LooksDamaged() => ready.LooksDamaged();

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _timer?.Dispose();
        }
    }

    private void SetTimer()
    {
        lock (_gate)
        {
            // Read again: of two threads that come here, the one that saw the later time may come last.
            long time = delayed.LookAt, now = DelayedSlots.Now;
            if (_disposed || time == DelayedSlots.None || time == _wakeAt) return;
            _timer ??= new Timer(static readiness => ((WorkReadiness)readiness!).Wake(), this, Timeout.Infinite, Timeout.Infinite);
            _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(time - now, 1, LongestSleep.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
            Volatile.Write(ref _wakeAt, time);
        }
    }

    private void Wake()
    {
        Volatile.Write(ref _wakeAt, DelayedSlots.None);
        try
        {
            wake();
        }
#pragma warning disable CA1031 // What a timer throws ends the process.
        catch (Exception)
#pragma warning restore CA1031
        {
            // Hostile bytes: whoever waits meets the same fault on its own call.
        }
    }
}
