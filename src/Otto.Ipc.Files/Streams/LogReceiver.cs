using Otto.Ipc.Endpoints;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Watching;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// The receiving end: visits the lanes in turn, one line each. How far it is in a lane stands in a file,
// written as each message counts as read.

internal sealed class LogReceiver : MessageReceiver, IWaitCondition
{
    private const int MostLanes = 1024, LookMilliseconds = 1000;

    private readonly string _lanesDirectory;
    private readonly StreamNumbers _numbers;
    private readonly LockFile _role;
    private readonly ChangeWaiter _waiter;
    private readonly ExclusiveUse _use;
    private readonly Lock _reading = new();
    private readonly List<SenderLogReader> _lanes = [];
    private int _turn, _leasedBytes;
    private SenderLogReader? _leased;
    private long _leases, _openLease, _seenAt = Environment.TickCount64;

    public LogReceiver(string stream, string lanes, StreamNumbers numbers, FilesTransportOptions options)
    {
        _lanesDirectory = lanes;
        _numbers = numbers;
        _role = new LockFile(Path.Combine(stream, "receiver.lock"));
        _waiter = new ChangeWaiter(options);
        _use = new ExclusiveUse(Close);
        try
        {
            if (!_role.TryAcquire()) throw new IOException($"{stream} has a receiver already, and it is alive; dispose it first");
            FindLanes();
        }
        catch
        {
            Close();
            throw;
        }
    }

    public override bool IsCompleted
    {
        get
        {
            lock (_reading) return !_use.IsClosed && _openLease == 0 && HasEnded();
        }
    }

    IEnumerable<string> IWaitCondition.Directories
    {
        get
        {
            lock (_reading) return [_lanesDirectory, .. _lanes.Select(static lane => lane.Files.Directory)];
        }
    }

    TimeSpan IWaitCondition.NextPollIn => ChangeWaiter.LongestSleep;

    public override bool TryReceive(out ReadLease lease)
    {
        lease = default;
        _use.Enter();
        bool held = false;
        try
        {
            lock (_reading)
            {
                if (!TryPeek(out ReadOnlyMemory<byte> line)) return false;
                // Decoded before anything is counted: what throws here consumes nothing.
                ReadOnlyMemory<byte> message = Decode(line);
                _openLease = ++_leases;
                lease = new ReadLease(this, new SlotToken(_openLease, 0), message.Span);
                return held = true;
            }
        }
        finally
        {
            if (!held) _use.Exit();
        }
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        bytes = 0;
        _use.Enter();
        try
        {
            lock (_reading)
            {
                if (!TryPeek(out ReadOnlyMemory<byte> line)) return false;
                ReadOnlyMemory<byte> message = Decode(line);
                if (message.Length > destination.Length)
                {
                    throw new ArgumentException(
                        $"a message of {message.Length:N0} bytes does not fit into {destination.Length:N0}; it stays for the next call",
                        nameof(destination));
                }

                message.Span.CopyTo(destination);
                bytes = message.Length;
                _leased!.Advance(_leasedBytes);
                return true;
            }
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
            return _waiter.Wait(this, timeout, cancellationToken);
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
            return await _waiter.WaitAsync(this, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Dispose()
    {
        _use.Close();
        _waiter.Wake();
    }

    protected override void ReleaseLease(in SlotToken token)
    {
        lock (_reading)
        {
            if (token.Word == 0 || _openLease != token.Word) return;
            _openLease = 0;
            try
            {
                _leased!.Advance(_leasedBytes);
            }
            catch
            {
                _use.Exit();
                throw;
            }
        }

        // Outside: the last one out closes.
        _use.Exit();
    }

    bool? IWaitCondition.Poll()
    {
        lock (_reading)
        {
            _use.ThrowIfClosed();
            if (TryPeek(out _)) return true;
            return HasEnded() ? false : null;
        }
    }

    private ReadOnlyMemory<byte> Decode(ReadOnlyMemory<byte> line)
    {
        ReadOnlyMemory<byte> message = MessageText.Decode(line);
        return message.Length <= _numbers.MaxMessageBytes
            ? message
            : throw new CorruptSegmentException(
                $"a line in {_leased!.Files.Directory} encodes a message of {message.Length:N0} bytes, the limit is "
                + $"{_numbers.MaxMessageBytes:N0}");
    }

    /// <summary>Looks for a line, beginning with the lane whose turn it is.</summary>
    private bool TryPeek(out ReadOnlyMemory<byte> line)
    {
        if (TryPeekKnown(out line)) return true;
        ThrowIfRemoved();
        return FindLanes() && TryPeekKnown(out line);
    }

    /// <summary>Checks once per second that this is still the stream's receiver.</summary>
    private void ThrowIfRemoved()
    {
        if (Environment.TickCount64 - _seenAt < LookMilliseconds) return;
        _seenAt = Environment.TickCount64;
        if (!PrivateFiles.Status(_role.File).HasNoName && !_lanes.Exists(static lane => lane.IsRemoved)) return;
        _seenAt = 0; // Each call from now on.
        throw new IOException($"{_lanesDirectory} was deleted while it was open here; processes that open the stream now use other files: "
            + "dispose this receiver and open it again");
    }

    private bool TryPeekKnown(out ReadOnlyMemory<byte> line)
    {
        for (int i = 0; i < _lanes.Count; i++)
        {
            int at = (_turn + i) % _lanes.Count;
            if (!_lanes[at].TryPeek(out line, out int bytes)) continue;
            (_leased, _leasedBytes, _turn) = (_lanes[at], bytes, at + 1);
            return true;
        }

        line = default;
        return false;
    }

    /// <summary>Adds lanes that were created since the last check.</summary>
    /// <returns><see langword="true"/> if there were any; otherwise, <see langword="false"/>.</returns>
    private bool FindLanes()
    {
        int known = _lanes.Count;
        foreach (string name in RootDirectory.NamesIn(_lanesDirectory))
        {
            string directory = Path.Combine(_lanesDirectory, name);
            if (name.StartsWith('.') || _lanes.Exists(lane => lane.Files.Directory == directory)) continue;
            if (_lanes.Count == MostLanes)
                throw new CorruptSegmentException(
                    $"{_lanesDirectory} has more than {MostLanes:N0} lanes; remove those that no process writes to");
            RootDirectory.Ensure(directory);
            _lanes.Add(new SenderLogReader(new SenderLogFiles(directory), _numbers.MaxLineBytes));
        }

        return _lanes.Count > known;
    }

    /// <summary>Whether every sender said that no more will come, and all was read.</summary>
    private bool HasEnded()
    {
        FindLanes();
        // The words of the senders first: what one sent before is then seen by the look that follows.
        return _lanes.Count > 0 && _lanes.TrueForAll(static lane => lane.Files.IsCompleted) && !TryPeek(out _);
    }

    private void Close()
    {
        _waiter.Dispose();
        foreach (SenderLogReader lane in _lanes) lane.Dispose();
        _role.Dispose();
    }
}
