using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Endpoints;

// What the ends of streams and topics share: the segment, their place in it, and a gate that costs a call two plain stores, since such an
// end is used by one thread at a time. Dispose pays instead: it passes a barrier on every thread, then
// leaves the closing to whoever is last.

internal sealed class ParticipantEndpoint : IClosableEnd, IMaintained
{
    private readonly Participants _participants;
    private readonly Lock _closing = new();
    private readonly DoorbellWaiter _waiter;
    private readonly bool _receives;
    private bool _busy;
    private volatile bool _closed;
    private volatile bool _retired;
    private bool _released;
    private long _messages, _bytes;
    private long _messagesReported, _bytesReported;

    /// <summary>Joins. The caller holds the lock of its exclusive role, if it has one; the
    /// segment is this end's to close from here on.</summary>
    /// <param name="segment">Where.</param>
    /// <param name="role">What this end does.</param>
    /// <param name="bellOffset">The word that wakes this end.</param>
    /// <param name="readiness">What this end waits for.</param>
    /// <param name="repair">Repairs what a dead end left; left out where there is nothing to repair: what it had not
    /// published is invisible, what it had not read is still there.</param>
    /// <param name="seats">Which entries it may take; left out, any.</param>
    public ParticipantEndpoint(SegmentFile segment, ParticipantRoles role, long bellOffset, IReadiness readiness,
        Action<int, int>? repair = null, ParticipantRange? seats = null)
    {
        Segment = segment;
        _receives = role is ParticipantRoles.Receives or ParticipantRoles.Subscribes;
        try
        {
            _participants = Participants.Join(segment, role, repair ?? (static (_, _) => { }), seats ?? ParticipantRange.Any);
        }
        catch
        {
            segment.Close();
            throw;
        }

        _waiter = new DoorbellWaiter(segment.Mapping, bellOffset, readiness, signallersFence: false);
    }

    public SegmentFile Segment { get; }

    /// <summary>This end's number among the participants.</summary>
    public int Me => _participants.Me;

    /// <summary>
    /// Other work to do on the maintenance thread. The argument is <see langword="true"/> if a dead participant was
    /// swept; otherwise, <see langword="false"/>. Never called after the end was released.
    /// </summary>
    public Action<bool>? Looking { get; init; }

    /// <summary>What to do before this participant leaves.</summary>
    public Action? Leaving { get; init; }

    public bool IsClosed => _closed;

    /// <summary>As <see cref="SegmentFile.IsRetired"/>, where each call finds it.</summary>
    public bool IsRetired => _retired;

    /// <summary>Waits for this end's own bell.</summary>
    public DoorbellWaiter Waiter => _waiter;

    public void StartHousekeeping() => MaintenanceThread.Register(this);

    /// <summary>Begins a call. Every call that returns from here ends with <see cref="Exit"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Enter()
    {
        if (_busy) ThrowOverlap();
        // Pairs with Dispose by its process-wide barrier: either Dispose sees this call, or this call sees that it is closed.
        Volatile.Write(ref _busy, true);
        if (_closed) ThrowClosed();
    }

    /// <summary>Ends a call, a reservation or a lease.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Exit()
    {
        Volatile.Write(ref _busy, false);
        if (_closed) Release();
    }

    /// <summary>
    /// Counts a message that passed. This costs two plain additions. The maintenance thread reports the counts to the
    /// meter once per second, and closing reports the rest.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Count(int bytes)
    {
        _messages++;
        _bytes += bytes;
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        Interlocked.MemoryBarrierProcessWide();
        lock (_closing)
        {
            if (!_released) _waiter.Bell.Ring();
        }

        // A call, reservation or lease in flight is left to finish; its Exit does the rest.
        if (!Volatile.Read(ref _busy)) Release();
    }

    public void RunMaintenance()
    {
        lock (_closing)
        {
            if (_released) return;
            _waiter.WakeIfMissed();
            MaintenanceRound round = default;
            round.Run(CheckStillLinked);
            round.Run(ReportToMeter);
            bool swept = false;
            round.Run(() => swept = _participants.SweepDead() > 0);
            round.Run(() => Looking?.Invoke(swept));
            round.ThrowIfFailed();
        }
    }

    private void CheckStillLinked()
    {
        if (_retired || !Segment.CheckStillLinked()) return;
        _retired = true;
        _waiter.Bell.Ring();
    }

    private void Release()
    {
        lock (_closing)
        {
            if (_released) return;
            _released = true;
            ReportToMeter();
            Leaving?.Invoke();
            _participants.Leave();
            Segment.Close();
        }

        MaintenanceThread.Unregister(this);
    }

    private void ReportToMeter()
    {
        long messages = Volatile.Read(ref _messages), bytes = Volatile.Read(ref _bytes);
        Segment.Meter.Moved(messages - _messagesReported, bytes - _bytesReported, _receives);
        (_messagesReported, _bytesReported) = (messages, bytes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ThrowOverlap() =>
        throw new InvalidOperationException(
            "this end is in use: it serves one thread at a time, and a reserved slot or a lease must be disposed before the next call");

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowClosed()
    {
        Exit();
        throw new ObjectDisposedException(nameof(ParticipantEndpoint), "this end was disposed");
    }
}
