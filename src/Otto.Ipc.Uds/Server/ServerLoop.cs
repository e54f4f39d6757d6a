using System.Diagnostics;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// One thread does everything: it sleeps in epoll, reads what came, runs the commands, writes the answers. Nothing is locked, a snapshot is
// a moment between two commands, and no client costs more than its turn.

/// <summary>The server's thread and what it owns.</summary>
internal sealed partial class ServerLoop : IDisposable
{
    /// <summary>How much a client may cost before the others have their turn: a command counts 1, a list as much as there are keys.</summary>
    public const int WorkPerTurn = 20_000;

    private const int SharedBytes = 64 << 10, EventsPerRound = 2_000, RoundsPerTurn = 8;
    private const long ListenerTag = -1, WakeTag = -2;
    private static readonly TimeSpan ShortSilence = TimeSpan.FromMilliseconds(100), LongSilence = TimeSpan.FromSeconds(1), Grace = TimeSpan.FromSeconds(10);

    private readonly Epoll _epoll = new();
    private readonly Acceptor _door;
    private readonly int _wake;
    private readonly byte[] _shared = GC.AllocateUninitializedArray<byte>(SharedBytes, pinned: true);
    private readonly TimerQueue _alarms = new();
    private readonly BufferPool _chunks;
    private readonly Broker _broker;
    private readonly TextProtocol _text;
    private readonly BinaryProtocol _binary;
    private readonly List<Connection> _dirty = [], _ready = [], _short = [], _turn = [];
    private Connection?[] _connections = new Connection?[256];
    private int _count, _generation;
    private volatile bool _stopping;

    public ServerLoop(UdsServerOptions options, int listener)
    {
        Options = options;
        Budget = new MemoryBudget(options.MaxBufferedBytes);
        Hello = HelloReply.Of(options);
        _chunks = new BufferPool(Budget);
        _broker = new Broker(options, _alarms);
        _text = new TextProtocol(this, _broker);
        _binary = new BinaryProtocol(this, _broker);
        _door = new Acceptor(listener, options.MaxConnections);
        _wake = Libc.EventDescriptor(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        _epoll.Add(listener, Libc.EPOLLIN, ListenerTag);
        _epoll.Add(_wake, Libc.EPOLLIN, WakeTag);
    }

    public UdsServerOptions Options { get; }

    public MemoryBudget Budget { get; }

    /// <summary>How much memory answers have, used or kept for the next ones.</summary>
    public long ChunkBytes => _chunks.Held;

    /// <summary>What HELLO answers.</summary>
    public byte[] Hello { get; }

    public int Connections => Volatile.Read(ref _count);

    /// <summary>How many clients were closed because they did not read.</summary>
    public int Evicted { get; private set; }

    /// <summary>How often serving a client failed in a way that nobody foresaw; that client was closed.</summary>
    public int Failures { get; private set; }

    /// <summary>What failed last.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>Serves until <see cref="Stop"/>.</summary>
    public void Run()
    {
        while (!_stopping)
        {
            int events = _epoll.Wait(_ready.Count > 0 || (_short.Count > 0 && !Budget.IsTight) ? 0 : _alarms.Milliseconds(Stopwatch.GetTimestamp()));
            for (int i = 0; i < events; i++)
            {
                (uint happened, long tag) = _epoll[i];
                if (tag == ListenerTag) LetIn();
                else if (tag != WakeTag && Find(tag) is { } connection) Guard(connection, Turn.Serve, happened);
            }

            while (_alarms.TryTake(Stopwatch.GetTimestamp(), out TimerEntry alarm)) Ring(alarm);
            TakeTurns(_ready, Turn.GoOn);
            TakeTurns(_dirty, Turn.Send);
            if (!Budget.IsTight) TakeTurns(_short, Turn.EndShortage);
        }
    }

    /// <summary>Ends <see cref="Run"/>, from any thread.</summary>
    public unsafe void Stop()
    {
        _stopping = true;
        ulong one = 1;
        _ = Libc.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Closes every connection; once <see cref="Run"/> has ended.</summary>
    public void Dispose()
    {
        foreach (Connection? connection in _connections)
        {
            if (connection is not null) Close(connection);
        }

        _chunks.Dispose();
        _door.Dispose();
        _epoll.Dispose();
        _ = Libc.Close(_wake);
    }

    /// <summary>Sees to it that what a connection's output got is sent before the server sleeps.</summary>
    public void MarkDirty(Connection connection)
    {
        if (connection.IsDirty || connection.IsClosed) return;
        connection.IsDirty = true;
        _dirty.Add(connection);
    }

    /// <summary>Gives the kernel what it takes.</summary>
    public static void Flush(Connection connection)
    {
        if (connection.Output.Flush(connection.Descriptor)) connection.LastTaken = Stopwatch.GetTimestamp();
    }

    private Connection? Find(long tag) => _connections[(int)(uint)tag] is { } connection && connection.Tag == tag ? connection : null;

    private void Enter(int fd)
    {
        if (fd >= _connections.Length) Array.Resize(ref _connections, Math.Max(fd + 1, _connections.Length * 2));
        var connection = new Connection(fd, ++_generation & int.MaxValue, _chunks, this) { Watched = Libc.EPOLLIN };
        _connections[fd] = connection;
        _count++;
        _epoll.Add(fd, Libc.EPOLLIN, connection.Tag);
    }

    /// <summary>Why a connection has the server's attention.</summary>
    private enum Turn
    {
        Serve,
        GoOn,
        Send,
        EndShortage,
        LookAtSilence,
        LookAtReading,
    }

    private void Close(Connection connection)
    {
        if (connection.IsClosed) return;
        connection.IsClosed = true;
        _broker.Leave(connection);
        connection.Input.Release(Budget);
        connection.Output.Break();
        _connections[connection.Descriptor] = null;
        _count--;
        Acceptor.Close(connection.Descriptor);
    }

    private void LetIn()
    {
        try
        {
            _door.Open(_count, Enter);
        }
        catch (IOException e)
        {
            Failures++;
            LastFailure = e;
        }
    }

    private void TakeTurns(List<Connection> waiting, Turn turn)
    {
        if (waiting.Count == 0) return;
        // Whoever joins the list meanwhile has its turn next time.
        _turn.Clear();
        _turn.AddRange(waiting);
        waiting.Clear();
        foreach (Connection connection in _turn) Guard(connection, turn);
    }

    /// <summary>What nobody foresaw ends one client's connection, not the server.</summary>
    private void Guard(Connection connection, Turn turn, uint happened = 0)
    {
        if (connection.IsClosed) return;
        try
        {
            switch (turn)
            {
                case Turn.Serve:
                    Serve(connection, happened);
                    break;
                case Turn.GoOn:
                    GoOn(connection);
                    break;
                case Turn.Send:
                    connection.IsDirty = false;
                    Send(connection);
                    break;
                case Turn.EndShortage:
                    connection.IsShort = false;
                    Send(connection);
                    break;
                case Turn.LookAtSilence:
                    LookAtSilence(connection);
                    break;
                case Turn.LookAtReading:
                    LookAtReading(connection);
                    break;
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Failures++;
            LastFailure = e;
            Close(connection);
        }
    }

    private void Ring(TimerEntry alarm)
    {
        if (alarm.Kind == TimerKind.Progress) _broker.Due(alarm.Entry!);
        else Guard(alarm.Connection!, alarm.Kind == TimerKind.Silence ? Turn.LookAtSilence : Turn.LookAtReading);
    }
}
