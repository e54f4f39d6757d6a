using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;

namespace Otto.Ipc.Fifo.Streams;

// The contract of a receiver over what a FrameReader finds. A message leaves the FIFO when its lease ends.

internal sealed class FifoReceiver : MessageReceiver, IWaitCondition
{
    private readonly ExclusiveUse _use;
    private readonly WakeSignal _signal = new();
    private readonly WaitLoop _wait;
    private readonly StreamFile _file;
    private readonly PipePeeker _peeker;
    private readonly FrameReader _reader;
    private long _leases;
    private long _open;
    private int _leased;
    private FrameState _found;

    public FifoReceiver(StreamFile file, FifoStreamOptions options)
    {
        _file = file;
        _use = new ExclusiveUse(Release);
        try
        {
            if (!file.TryBeReceiver()) throw new IOException($"{file.FifoPath} has a receiver already, and it is alive; dispose it first");
            _peeker = new PipePeeker(file.FifoPath, file.Rules, options);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _reader = new FrameReader(file, _peeker);
        _wait = new WaitLoop(_use, this, _signal, _signal);
    }

    public override bool IsCompleted
    {
        get
        {
            _use.Enter();
            try
            {
                return _reader.Find(out _) == FrameState.End;
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
            if (!TryFind(out int bytes)) return false;
            leased = true;
            // The end stays entered until the lease ends.
            _open = ++_leases;
            _leased = bytes;
            lease = new ReadLease(this, new SlotToken(_open, 0), _peeker.Unread.Slice(_reader.PayloadAt, bytes));
            return true;
        }
        finally
        {
            if (!leased) _use.Exit();
        }
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _use.Enter();
        try
        {
            if (!TryFind(out bytes)) return false;
            if (bytes > destination.Length)
                throw new ArgumentException(
                    $"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream",
                    nameof(destination));
            _peeker.Unread.Slice(_reader.PayloadAt, bytes).CopyTo(destination);
            _reader.Take(bytes);
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
            return _wait.Wait(timeout, cancellationToken) && _found != FrameState.End;
        }
        finally
        {
            _use.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _use.Enter();
        try
        {
            await _wait.WaitAsync(cancellationToken).ConfigureAwait(false);
            return _found != FrameState.End;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Dispose()
    {
        if (_use.IsClosed) return;
        _use.Close();
        _signal.Set();
    }

    bool IWaitCondition.Poll(bool arm, out SleepSource source)
    {
        source = default;
        _found = _reader.Find(out _);
        if (_found != FrameState.Nothing) return true;
        _file.ThrowIfRemoved();
        source = _reader.SleepSource;
        if (arm) _wait.Arm(source.Id, source.Events);
        return false;
    }

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _reader.Take(_leased);
        _use.Exit();
    }

    private bool TryFind(out int bytes)
    {
        FrameState state = _reader.Find(out bytes);
        if (state == FrameState.Error) _reader.ThrowError();
        if (state == FrameState.Nothing) _file.ThrowIfRemoved();
        return state == FrameState.Message;
    }

    private void Release()
    {
        _wait.Dispose();
        _peeker.Dispose();
        _file.Dispose();
    }
}
