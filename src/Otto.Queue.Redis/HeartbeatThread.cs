namespace Otto.Queue.Redis;

// The thread on which all queues of a connection show that they live. It is none of the pool's, so that handlers may block as many of
// those as they like.

internal sealed class HeartbeatThread(DirectConnections connections)
{
    private readonly object _lock = new();
    private readonly List<Beating> _all = [];
    private Thread? _thread;
    private bool _ended;
    private Action<DirectConnections>? _current;
    private TaskCompletionSource _currentEnds = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void Add(Action<DirectConnections> heartbeat, TimeSpan interval)
    {
        lock (_lock)
        {
            _all.Add(new Beating(heartbeat, (long)interval.TotalMilliseconds));
            if (_thread is null)
            {
                _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "Otto.Queue.Redis heartbeat" };
                _thread.Start();
            }

            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Lets one beat at once.</summary>
    internal void BeatNow(Action<DirectConnections> heartbeat)
    {
        lock (_lock)
        {
            if (_all.Find(b => b.Heartbeat == heartbeat) is not { } beating) return;
            beating.Due = 0;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Takes one out.</summary>
    /// <returns>Completes when it beats no more.</returns>
    internal Task RemoveAsync(Action<DirectConnections> heartbeat)
    {
        lock (_lock)
        {
            _all.RemoveAll(b => b.Heartbeat == heartbeat);
            return _current == heartbeat ? _currentEnds.Task : Task.CompletedTask;
        }
    }

    /// <summary>Ends the thread, after its current beat.</summary>
    internal void End()
    {
        lock (_lock)
        {
            _ended = true;
            _all.Clear();
            if (_thread is null) connections.Dispose();
            Monitor.PulseAll(_lock);
        }
    }

    private void Run()
    {
        while (WaitForNext() is { } next)
        {
            try
            {
                next(connections);
            }
#pragma warning disable CA1031 // What a thread throws ends the process.
            catch (Exception)
#pragma warning restore CA1031
            {
                // A beat says itself what went wrong. The next one is due as always.
            }

            lock (_lock)
            {
                _current = null;
                _currentEnds.SetResult();
            }
        }

        connections.Dispose();
    }

    private Action<DirectConnections>? WaitForNext()
    {
        lock (_lock)
        {
            while (!_ended)
            {
                Beating? next = _all.MinBy(static b => b.Due);
                long now = Environment.TickCount64;
                if (next is not null && next.Due <= now)
                {
                    next.Due = now + next.Milliseconds;
                    _currentEnds = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    return _current = next.Heartbeat;
                }

                Monitor.Wait(_lock, next is null ? Timeout.Infinite : (int)(next.Due - now));
            }

            return null;
        }
    }

    private sealed class Beating(Action<DirectConnections> heartbeat, long milliseconds)
    {
        internal Action<DirectConnections> Heartbeat { get; } = heartbeat;

        internal long Milliseconds { get; } = milliseconds;

        internal long Due { get; set; }
    }
}
