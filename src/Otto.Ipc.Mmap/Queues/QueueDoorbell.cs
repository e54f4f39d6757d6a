using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// One direction of waiting on a queue. A wait counts as a call in flight.

internal sealed class QueueDoorbell
{
    private readonly HandleGate _gate;
    private readonly SpinBudget _spin;
    private readonly WaitMode _mode;

    public QueueDoorbell(SegmentMapping map, long offset, IReadiness readiness, HandleGate gate, MmapQueueOptions options)
    {
        // A push is a CAS, so signallers have fenced before they look.
        Bell = new Doorbell(map, offset, readiness, signallersFence: true);
        _gate = gate;
        _spin = new SpinBudget(options.SpinLimit);
        _mode = options.WaitMode;
    }

    public Doorbell Bell { get; }

    /// <summary>Rings for waiters of this process whose signaller was stopped or killed before it rang.</summary>
    public void RingIfMissed()
    {
        if (Bell.HasWaiters && Bell.Readiness.IsReady) Bell.Ring();
    }

    public bool Wait(TimeSpan timeout, CancellationToken cancellationToken)
    {
        _gate.Enter();
        try
        {
            if (!Bell.Wait(_spin, timeout, new WaitStop(_gate, cancellationToken), _mode)) return false;
            if (Bell.Readiness is RoomReadiness room) room.LetWorkersGetAhead();
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
            await Bell.WaitAsync(new WaitStop(_gate, cancellationToken), _mode).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }
}
