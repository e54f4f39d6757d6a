using System.Threading.Tasks.Sources;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Waiting;

// What one waiter of one end sleeps on, blocked or async. Every reason to look again sets it: a descriptor that is ready, a time, a
// token, a dispose. It says "look", not "done", so a reason that comes late or twice costs a look and nothing else.

internal sealed class WakeSignal : IValueTaskSource, IWaitHandler
{
    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private bool _set;
    private bool _awaited;
    private bool _blocked;
    private WakeEvent? _event;

    public void OnReady() => Set();

    public void Fail(IOException failure) => Set();

    /// <summary>Wakes the waiter, or lets the next one pass.</summary>
    public void Set()
    {
        bool complete;
        lock (_gate)
        {
            complete = _awaited;
            _awaited = false;
            _set = !complete;
            if (_blocked) _event?.Set();
        }

        if (complete) _core.SetResult(true);
    }

    /// <summary>Completes when it is set.</summary>
    public ValueTask WaitAsync()
    {
        lock (_gate)
        {
            if (_set)
            {
                _set = false;
                return default;
            }

            _core.Reset();
            _awaited = true;
            return new ValueTask(this, _core.Version);
        }
    }

    /// <summary>Blocks until it is set, a pipe is ready, or the time is over.</summary>
    /// <param name="id">The pipe, or -1.</param>
    /// <param name="events">What it should be ready for.</param>
    /// <param name="milliseconds">How long; -1 to wait indefinitely.</param>
    public void Block(int id, PollEvents events, int milliseconds)
    {
        WakeEvent sleep;
        lock (_gate)
        {
            if (_set)
            {
                _set = false;
                return;
            }

            sleep = _event ??= new WakeEvent();
            _blocked = true;
        }

        try
        {
            sleep.Wait(id, events, milliseconds);
        }
        finally
        {
            Unblock();
        }
    }

    /// <summary>Releases the event after the last wait has ended. The signal may still be set.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _event?.Dispose();
            _event = null;
        }
    }

    private void Unblock()
    {
        lock (_gate)
        {
            _blocked = false;
            if (_set) _event?.Clear();
            _set = false;
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
