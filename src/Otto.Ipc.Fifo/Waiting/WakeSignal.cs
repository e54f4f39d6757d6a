using System.Threading.Tasks.Sources;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Waiting;

// What one waiter of one end sleeps on, blocked or async. Every reason to look again sets it: a descriptor that is ready, a time, a
// token, a dispose. It says "look", not "done", so a reason that comes late or twice costs a look and nothing else.

internal sealed class WakeSignal : IValueTaskSource, IReadyTarget
{
    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private bool _set;
    private bool _awaited;
    private bool _blocked;
    private int _event = -1;

    public void OnReady() => Set();

    /// <summary>Wakes the waiter, or lets the next one pass.</summary>
    public void Set()
    {
        bool complete;
        lock (_gate)
        {
            complete = _awaited;
            _awaited = false;
            _set = !complete;
            if (_blocked) _ = PipeCalls.Write(_event, [1, 0, 0, 0, 0, 0, 0, 0]);
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

    /// <summary>Blocks until it is set, a descriptor is ready, or the time is over.</summary>
    /// <param name="fd">The descriptor, or -1.</param>
    /// <param name="events">What it should be ready for.</param>
    /// <param name="milliseconds">How long; -1 for ever.</param>
    public void Block(int fd, short events, int milliseconds)
    {
        lock (_gate)
        {
            if (_set)
            {
                _set = false;
                return;
            }

            if (_event < 0) _event = EpollCalls.CreateEvent();
            _blocked = true;
        }

        Span<Libc.PollEntry> entries = [new() { Descriptor = _event, Events = PipeCalls.POLLIN }, new() { Descriptor = fd, Events = events }];
        try
        {
            PipeCalls.Poll(entries, milliseconds);
        }
        finally
        {
            Unblock();
        }
    }

    /// <summary>Gives the event back; nobody waits any more. May still be set.</summary>
    public void Close()
    {
        lock (_gate)
        {
            if (_event >= 0) _ = Libc.Close(_event);
            _event = -1;
        }
    }

    private void Unblock()
    {
        lock (_gate)
        {
            _blocked = false;
            if (_set) _ = PipeCalls.Read(_event, stackalloc byte[8]);
            _set = false;
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
