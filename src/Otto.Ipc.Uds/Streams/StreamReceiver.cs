using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Endpoints;
using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds.Streams;

// The receiver listens; senders come to it. Everything is read on the receiver's own thread, when it asks: a look at an empty stream is one call
// to the kernel, however many senders there are.

/// <summary>The receiving end of a stream over a socket.</summary>
internal sealed class StreamReceiver : MessageReceiver, IIoHandler
{
    private const long ListenerTag = 0;

    // Messages of one sender in a row while others may wait.
    private const int LongestRun = 64;

    private readonly SocketLock _claim;
    private readonly Epoll _epoll;
    private readonly long _pumpTag;
    private readonly EndGate _gate;
    private readonly bool _allowOther;
    private readonly List<InboundConnection> _inlets = [];
    private readonly Lock _waiting = new();
    private TaskCompletionSource? _change;
    private InboundConnection? _leased;
    private int _leasedBytes;
    private long _leases, _open, _tags = ListenerTag;
    private int _turn, _run, _abandoned;
    private bool _hadSender;

    public StreamReceiver(string path, bool allowOther)
    {
        _allowOther = allowOther;
        SocketPaths.EnsureDirectory(path);
        _claim = SocketLock.Take(path);
        _gate = new EndGate("receiver", Close);
        try
        {
            _epoll = new Epoll();
            _epoll.Add(_claim.Listener, Libc.EPOLLIN, ListenerTag);
            _pumpTag = IoThread.Know(_epoll.Descriptor, this);
        }
        catch
        {
            _claim.Dispose();
            _epoll?.Dispose();
            throw;
        }

        SendBuffers.Meet(path);
    }

    public override bool IsCompleted
    {
        get
        {
            _gate.Enter();
            try
            {
                return Look() == null && AllCompleted();
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    public override bool TryReceive(out ReadLease lease)
    {
        _gate.Enter();
        bool leased = false;
        try
        {
            lease = default;
            if (Next() is not { } inlet || !inlet.TryPeek(out ReadOnlySpan<byte> message)) return false;
            _leased = inlet;
            _leasedBytes = message.Length;
            _open = ++_leases;
            lease = new ReadLease(this, new SlotToken(_open, 0), message);
            leased = true;
            return true;
        }
        finally
        {
            // The end stays entered until the lease ends.
            if (!leased) _gate.Exit();
        }
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _gate.Enter();
        try
        {
            bytes = 0;
            if (Next() is not { } inlet || !inlet.TryPeek(out ReadOnlySpan<byte> message)) return false;
            bytes = message.Length;
            if (bytes > destination.Length)
                throw new ArgumentException($"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream", nameof(destination));
            message.CopyTo(destination);
            inlet.Consume(bytes);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        _gate.Enter();
        try
        {
            return EndWait.Wait(_gate, IsReady, WaitForChange, timeout, cancellationToken) && Look() is not null;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _gate.Enter();
        try
        {
            await EndWait.WaitAsync(_gate, IsReady, WaitForChange, cancellationToken).ConfigureAwait(false);
            return Look() is not null;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override void Dispose()
    {
        _gate.Dispose();
        Attend();
    }

    public void Attend()
    {
        lock (_waiting)
        {
            _change?.TrySetResult();
            _change = null;
        }
    }

    public int Tick() => 0;

    public void Fail(IOException failure) => Attend();

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _leased!.Consume(_leasedBytes);
        _leased = null;
        _gate.Exit();
    }

    private bool IsReady() => Look() is not null || AllCompleted();

    private Task WaitForChange()
    {
        lock (_waiting)
        {
            _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            IoThread.Arm(_epoll.Descriptor, _pumpTag, Libc.EPOLLIN);
            return _change.Task;
        }
    }

    /// <summary>Whose turn it is, of those that have a message; each has one before anybody has too many.</summary>
    private InboundConnection? Next()
    {
        if (++_run > LongestRun)
        {
            _run = 0;
            _turn++;
            Receive();
        }

        return Look();
    }

    private InboundConnection? Look()
    {
        if (Buffered() is { } buffered) return buffered;
        Receive();
        if (Buffered() is { } received) return received;
        // Nothing is left to read: everyone is told what was.
        foreach (InboundConnection inlet in _inlets) inlet.Tell();
        return null;
    }

    private InboundConnection? Buffered()
    {
        for (int i = 0; i < _inlets.Count; i++)
        {
            int index = (_turn + i) % _inlets.Count;
            InboundConnection inlet = _inlets[index];
            if (inlet.TryPeek(out _))
            {
                if (i > 0) _run = 0;
                _turn = index;
                return inlet;
            }
        }

        for (int i = _inlets.Count - 1; i >= 0; i--)
        {
            if (_inlets[i].HasEnded) Remove(_inlets[i]);
        }

        return null;
    }

    /// <summary>Takes in new senders, and what the others sent.</summary>
    private void Receive()
    {
        int events = _epoll.Wait(0);
        for (int i = 0; i < events; i++)
        {
            long tag = _epoll[i].Tag;
            if (tag == ListenerTag) Accept();
            else _inlets.Find(inlet => inlet.Tag == tag)?.Receive();
        }
    }

    private void Accept()
    {
        int fd;
        while ((fd = Libc.Accept(_claim.Listener, 0, 0, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC)) >= 0)
        {
            if (!StreamSocket.IsTrusted(fd, _allowOther))
            {
                _ = Libc.Close(fd);
                continue;
            }

            // A sender once it says so: it may be somebody who looks whether anybody listens.
            InboundConnection inlet = new InboundConnection(fd, ++_tags, Begin);
            _epoll.Add(fd, Libc.EPOLLIN, inlet.Tag);
            _inlets.Add(inlet);
            inlet.Receive();
        }
    }

    /// <summary>A sender that begins takes the place of one that ended without completing, if there is such a place.</summary>
    private void Begin(InboundConnection successor)
    {
        _hadSender = true;
        if (_abandoned > 0) _abandoned--;
        else if (_inlets.Find(left => left != successor && left.HasBegun && !left.IsSucceeded && !left.IsCompleted && left.HasPeerLeft) is { } left) left.IsSucceeded = true;
    }

    private void Remove(InboundConnection inlet)
    {
        _inlets.Remove(inlet);
        if (inlet.HasBegun && !inlet.IsCompleted && !inlet.IsSucceeded) _abandoned++;
        StreamSocket.Close(inlet.Descriptor);
    }

    /// <summary>Whether there was a sender, each of them completed, and nothing waits; after a look.</summary>
    private bool AllCompleted() => _hadSender && _abandoned == 0 && _inlets.TrueForAll(inlet => !inlet.HasBegun || (inlet.IsCompleted && !inlet.TryPeek(out _)));

    private void Close()
    {
        IoThread.Forget(_epoll.Descriptor, _pumpTag);
        // The name goes first, so that senders whose connections end find the next receiver and not this one.
        _claim.Dispose();
        foreach (InboundConnection inlet in _inlets)
        {
            inlet.Tell();
            StreamSocket.Close(inlet.Descriptor);
        }

        _epoll.Dispose();
    }
}
