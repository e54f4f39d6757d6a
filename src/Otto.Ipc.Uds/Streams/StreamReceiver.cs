using Otto.Ipc.Endpoints;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Endpoints;
using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds.Streams;

// The receiver listens; senders come to it. Everything is read on the receiver's own thread, when it asks: a look at an empty stream is one
// call to the kernel, however many senders there are.

/// <summary>The receiving end of a stream over a socket.</summary>
internal sealed class StreamReceiver : MessageReceiver, IWaitHandler
{
    private const long ListenerTag = 0;
    private const int NamePollMilliseconds = 1000;

    // Messages of one sender in a row while others may wait.
    private const int LongestRun = 64;

    private readonly SocketLock _lock;
    private readonly ReadinessPoller _poller;
    private readonly long _ioTag;
    private readonly ExclusiveUse _use;
    private readonly bool _allowOther;
    private readonly List<InboundConnection> _connections = [];
    private readonly Lock _waiting = new();
    private TaskCompletionSource? _change;
    private InboundConnection? _leased;
    private int _leasedBytes;
    private long _leases, _open, _tags = ListenerTag;
    private int _turn, _run, _abandoned;
    private long _nameSeenAt = Environment.TickCount64;
    private bool _hadSender;

    public StreamReceiver(string path, bool allowOther)
    {
        _allowOther = allowOther;
        SocketPaths.EnsureDirectory(path);
        _lock = SocketLock.Take(path);
        _use = new ExclusiveUse(Close, "receiver");
        try
        {
            _poller = new ReadinessPoller();
            _poller.Add(_lock.Listener.Id, PollEvents.Readable, ListenerTag);
            _ioTag = WaitThread.Register(_poller.Id, this);
        }
        catch
        {
            _lock.Dispose();
            _poller?.Dispose();
            throw;
        }

        SendBuffers.ReceiverOpened(path);
    }

    public override bool IsCompleted
    {
        get
        {
            _use.Enter();
            try
            {
                return Poll() == null && AllCompleted();
            }
            finally
            {
                _use.Exit();
            }
        }
    }

    public override bool TryReceive(out ReadLease lease)
    {
        _use.Enter();
        bool leased = false;
        try
        {
            lease = default;
            if (Next() is not { } connection || !connection.TryPeek(out ReadOnlySpan<byte> message)) return false;
            _leased = connection;
            _leasedBytes = message.Length;
            _open = ++_leases;
            lease = new ReadLease(this, new SlotToken(_open, 0), message);
            leased = true;
            return true;
        }
        finally
        {
            // The receiver stays entered until the lease ends.
            if (!leased) _use.Exit();
        }
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _use.Enter();
        try
        {
            bytes = 0;
            if (Next() is not { } connection || !connection.TryPeek(out ReadOnlySpan<byte> message)) return false;
            bytes = message.Length;
            if (bytes > destination.Length)
                throw new ArgumentException(
                    $"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream",
                    nameof(destination));
            message.CopyTo(destination);
            connection.Consume(bytes);
            return true;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        _use.Enter();
        try
        {
            return WaitLoop.Wait(_use, IsReady, WaitForChange, timeout, cancellationToken) && Poll() is not null;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _use.Enter();
        try
        {
            await WaitLoop.WaitAsync(_use, IsReady, WaitForChange, cancellationToken).ConfigureAwait(false);
            return Poll() is not null;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Dispose()
    {
        _use.Close();
        OnReady();
    }

    public void OnReady()
    {
        lock (_waiting)
        {
            _change?.TrySetResult();
            _change = null;
        }
    }

    public int OnTime()
    {
        bool waits;
        lock (_waiting) waits = _change is not null;
        if (!waits || _use.IsClosed) return 0;
        if (!_lock.IsStillNamed) OnReady();
        return NamePollMilliseconds;
    }

    public void Fail(IOException failure) => OnReady();

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _leased!.Consume(_leasedBytes);
        _leased = null;
        _use.Exit();
    }

    private bool IsReady() => Poll() is not null || AllCompleted();

    private Task WaitForChange()
    {
        lock (_waiting)
        {
            _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            WaitThread.Arm(_poller.Id, _ioTag, PollEvents.Readable);
            WaitThread.CallAfter(this, NamePollMilliseconds);
            return _change.Task;
        }
    }

    /// <summary>
    /// Selects the next connection among those that have a message. Each connection gets its turn after a limited
    /// number of messages of another.
    /// </summary>
    private InboundConnection? Next()
    {
        if (++_run > LongestRun)
        {
            _run = 0;
            _turn++;
            Receive();
        }

        return Poll();
    }

    private InboundConnection? Poll()
    {
        if (Buffered() is { } buffered) return buffered;
        Receive();
        if (Buffered() is { } received) return received;
        // Nothing is left to read: everyone is told what was.
        foreach (InboundConnection connection in _connections) connection.Acknowledge();
        return null;
    }

    private InboundConnection? Buffered()
    {
        for (int i = 0; i < _connections.Count; i++)
        {
            int index = (int)((uint)(_turn + i) % (uint)_connections.Count);
            InboundConnection connection = _connections[index];
            if (connection.TryPeek(out _))
            {
                if (i > 0) _run = 0;
                _turn = index;
                return connection;
            }
        }

        for (int i = _connections.Count - 1; i >= 0; i--)
        {
            if (_connections[i].HasEnded) Remove(_connections[i]);
        }

        return null;
    }

    /// <summary>Takes in new senders, and what the others sent.</summary>
    private void Receive()
    {
        CheckName();
        int events = _poller.Wait(0);
        for (int i = 0; i < events; i++)
        {
            long tag = _poller[i].Tag;
            if (tag == ListenerTag) Accept();
            else _connections.Find(connection => connection.Tag == tag)?.Receive();
        }
    }

    /// <summary>Listens again where the socket's name was deleted: no sender could connect any more.</summary>
    private void CheckName()
    {
        if (Environment.TickCount64 - _nameSeenAt < NamePollMilliseconds) return;
        _nameSeenAt = Environment.TickCount64;
        if (_lock.IsStillNamed) return;
        Accept(); // Those that connected while there was a name.
        UnixSocket old = _lock.ListenAgain();
        _poller.Remove(old.Id);
        old.Close();
        _poller.Add(_lock.Listener.Id, PollEvents.Readable, ListenerTag);
    }

    private void Accept()
    {
        while (_lock.Listener.Accept(out UnixSocket socket) == AcceptResult.Accepted)
        {
            if (!StreamSocket.IsTrusted(socket, _allowOther))
            {
                socket.Close();
                continue;
            }

            // A sender once it says so: until then it may only probe whether there is a receiver.
            InboundConnection connection = new InboundConnection(socket, ++_tags, Begin);
            _poller.Add(socket.Id, PollEvents.Readable, connection.Tag);
            _connections.Add(connection);
            connection.Receive();
        }
    }

    /// <summary>A sender that begins takes the place of one that ended without completing,
    /// if there is such a place.</summary>
    private void Begin(InboundConnection successor)
    {
        _hadSender = true;
        if (_abandoned > 0) _abandoned--;
        else if (_connections.Find(
            left => left != successor && left.HasBegun && !left.IsSucceeded && !left.IsCompleted && left.HasPeerLeft) is { } left)
            left.IsSucceeded = true;
    }

    private void Remove(InboundConnection connection)
    {
        _connections.Remove(connection);
        if (connection.HasBegun && !connection.IsCompleted && !connection.IsSucceeded) _abandoned++;
        connection.Socket.CloseBothWays();
    }

    /// <summary>
    /// Whether there was a sender, every sender has completed, and no message waits. Poll before this call.
    /// </summary>
    private bool AllCompleted() =>
        _hadSender && _abandoned == 0
        && _connections.TrueForAll(connection => !connection.HasBegun || (connection.IsCompleted && !connection.TryPeek(out _)));

    private void Close()
    {
        WaitThread.Unregister(_poller.Id, _ioTag);
        // The name goes first, so that senders whose connections end find the next receiver and not this one.
        _lock.Dispose();
        foreach (InboundConnection connection in _connections)
        {
            connection.Acknowledge();
            connection.Socket.CloseBothWays();
        }

        _poller.Dispose();
    }
}
