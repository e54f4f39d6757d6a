using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.Listening;
using Otto.Ipc.Uds.PubSub;

namespace Otto.Ipc.Uds.Server;

// One thread does everything: it sleeps until something happens, reads what came, runs the commands, writes the answers. Nothing is locked,
// a snapshot is a moment between two commands, and no client costs more than its turn.

/// <summary>The server's thread and what it owns.</summary>
internal sealed class ServerLoop : IDisposable
{
    private const long ListenerTag = -1;
    private const int NamePollMilliseconds = 1000;

    private readonly ReadinessPoller _poller = new(canWake: true);
    private readonly ILogger _log;
    private readonly ServerState _state;
    private readonly Acceptor _acceptor;
    private readonly RejectedClients _rejected;
    private readonly PendingConnections _pending = new();
    private readonly ConnectionTable _connections;
    private readonly ConnectionTimeouts _timeouts;
    private readonly ConnectionIo _io;
    private readonly List<Connection> _turn = [];
    private readonly SocketLock? _lock;
    private volatile bool _stopping;
    private long _nameSeenAt = Stopwatch.GetTimestamp();
    private bool _nameFailed;
    private bool _isPaused;

    /// <param name="options">The bounds.</param>
    /// <param name="listener">Where clients come in.</param>
    /// <param name="lock">The listener's name, which is made again if it is deleted; none for a socket that another
    /// process made.</param>
    /// <param name="log">Where to log.</param>
    public ServerLoop(UdsServerOptions options, UnixSocket listener, SocketLock? @lock, ILogger log)
    {
        _log = log;
        _lock = @lock;
        var budget = new MemoryBudget(options.MaxBufferedBytes);
        _state = new ServerState(options, budget, new BufferPool(budget), new KeyValueBroker(options, budget));
        _connections = new ConnectionTable(_state, _poller, _pending.MarkDirty);
        _timeouts = new ConnectionTimeouts(_state);
        _io = new ConnectionIo(_state, _connections, _pending, _timeouts, _poller, log);
        _rejected = new RejectedClients(_poller);
        _acceptor = new Acceptor(listener, options.MaxConnections, _rejected, log);
        _poller.Add(listener.Id, PollEvents.Readable, ListenerTag);
    }

    /// <summary>Why a connection has the server's attention.</summary>
    private enum ConnectionWork
    {
        Serve,
        Continue,
        Send,
        EndShortage,
        CheckSilence,
        CheckReading,
    }

    public MemoryBudget Budget => _state.Budget;

    /// <summary>How many clients are connected, on any thread.</summary>
    public int Connections => _connections.Count;

    /// <summary>How many clients were closed because they did not read.</summary>
    public int Evicted => _io.Evicted;

    /// <summary>How often serving a client failed unexpectedly; that client was closed.</summary>
    public int Failures { get; private set; }

    /// <summary>What failed last.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>Called before a connection is served; a test makes it fail.</summary>
    public Action? BeforeServe { get; set; }

    /// <summary>Serves until <see cref="Stop"/>.</summary>
    public void Run()
    {
        while (!_stopping)
        {
            int events = _poller.Wait(UntilDue());
            for (int i = 0; i < events; i++)
            {
                (PollEvents happened, long tag) = _poller[i];
                if (tag == ListenerTag) Accept();
                else if (RejectedClients.IsTag(tag)) _rejected.Serve(tag);
                else if (tag != ReadinessPoller.WakeTag && _connections.Find(tag) is { } connection)
                    RunGuarded(connection, ConnectionWork.Serve, happened);
            }

            while (_timeouts.TryTake(Stopwatch.GetTimestamp(), out ConnectionTimer due))
                RunGuarded(due.Connection, due.ChecksReading ? ConnectionWork.CheckReading : ConnectionWork.CheckSilence);
            _state.Broker.NotifyDue(Stopwatch.GetTimestamp());
            _rejected.CloseDue(Stopwatch.GetTimestamp());
            if (_isPaused) Accept();
            CheckName();
            RunAll(_pending.Ready, ConnectionWork.Continue);
            RunAll(_pending.Dirty, ConnectionWork.Send);
            if (!Budget.IsUnderPressure) RunAll(_pending.ShortOfMemory, ConnectionWork.EndShortage);
        }
    }

    /// <summary>Ends <see cref="Run"/>, from any thread.</summary>
    public void Stop()
    {
        _stopping = true;
        _poller.Wake();
    }

    /// <summary>Closes every connection; once <see cref="Run"/> has ended.</summary>
    public void Dispose()
    {
        _connections.CloseAll();
        _rejected.Dispose();
        _state.Pool.Dispose();
        _acceptor.Dispose();
        _poller.Dispose();
    }

    /// <summary>The longest time to sleep, in milliseconds; -1 for no limit.</summary>
    private int UntilDue()
    {
        if (_pending.Ready.Count > 0 || (_pending.ShortOfMemory.Count > 0 && !Budget.IsUnderPressure)) return 0;
        long now = Stopwatch.GetTimestamp();
        int connections = _timeouts.MillisecondsUntilDue(now), progress = _state.Broker.MillisecondsUntilDue(now);
        int rejected = _rejected.MillisecondsUntilDue(now);
        int soonest = Soonest(Soonest(connections, progress), rejected);
        return _lock is null && !_isPaused ? soonest : Soonest(soonest, NamePollMilliseconds);

        static int Soonest(int one, int other) => one < 0 ? other : other < 0 ? one : Math.Min(one, other);
    }

    private void Accept()
    {
        try
        {
            _acceptor.AcceptWaiting(_connections.Count, _connections.Add);
            // Clients that wait would report themselves all the time, and there is no place for them before another one goes.
            if (_acceptor.IsPaused == _isPaused) return;
            _isPaused = _acceptor.IsPaused;
            _poller.Change(_acceptor.Listener.Id, _isPaused ? PollEvents.None : PollEvents.Readable, ListenerTag);
        }
        catch (IOException e)
        {
            Note(e);
            _log.AcceptFailed(e);
        }
    }

    /// <summary>Listens again where the socket's name was deleted: no client could connect any more.</summary>
    /// <exception cref="SocketInUseException">Another server has the path by now.</exception>
    private void CheckName()
    {
        if (_lock is null || Stopwatch.GetElapsedTime(_nameSeenAt).TotalMilliseconds < NamePollMilliseconds) return;
        _nameSeenAt = Stopwatch.GetTimestamp();
        try
        {
            if (_lock.IsStillNamed) return;
            Accept(); // Those that connected while there was a name.
            UnixSocket old = _lock.ListenAgain();
            _poller.Remove(old.Id);
            old.Close();
            _acceptor.Listener = _lock.Listener;
            _isPaused = false;
            _poller.Add(_lock.Listener.Id, PollEvents.Readable, ListenerTag);
            _nameFailed = false;
            _log.ListensAgain(_lock.Path);
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not SocketInUseException)
        {
            if (!_nameFailed) _log.CannotListenAgain(_lock.Path, e);
            _nameFailed = true; // Told once; tried every second.
        }
    }

    private void RunAll(List<Connection> waiting, ConnectionWork work)
    {
        if (waiting.Count == 0) return;
        // A connection that joins the list meanwhile has its turn next time.
        _turn.Clear();
        _turn.AddRange(waiting);
        waiting.Clear();
        foreach (Connection connection in _turn) RunGuarded(connection, work);
    }

    /// <summary>An unexpected failure ends one client's connection, not the server.</summary>
    private void RunGuarded(Connection connection, ConnectionWork work, PollEvents happened = PollEvents.None)
    {
        if (connection.IsClosed) return;
        try
        {
            Dispatch(connection, work, happened);
        }
        catch (Exception e)
        {
            // Without memory too: the client that needs most of it is the one that fails, and closing it frees some.
            Note(e);
            _connections.Close(connection);
            _log.ClientFailed(e);
        }
    }

    private void Dispatch(Connection connection, ConnectionWork work, PollEvents happened)
    {
        switch (work)
        {
            case ConnectionWork.Serve:
                BeforeServe?.Invoke();
                _io.Serve(connection, happened);
                break;
            case ConnectionWork.Continue:
                _io.Continue(connection);
                break;
            case ConnectionWork.Send:
                connection.IsDirty = false;
                _io.Send(connection);
                break;
            case ConnectionWork.EndShortage:
                connection.IsShortOfMemory = false;
                _io.Send(connection);
                break;
            case ConnectionWork.CheckSilence:
                _io.EndSilence(connection);
                break;
            case ConnectionWork.CheckReading:
                _io.CheckReading(connection);
                break;
        }
    }

    private void Note(Exception failure)
    {
        Failures++;
        LastFailure = failure;
    }
}
