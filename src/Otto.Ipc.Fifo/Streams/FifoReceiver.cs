using System.Runtime.CompilerServices;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;

namespace Otto.Ipc.Fifo.Streams;

// The contract of a receiver over what a FrameReader finds. A message leaves the FIFO when its lease ends.

internal sealed class FifoReceiver : MessageReceiver, IReadiness
{
    private readonly EndGate _gate = new();
    private readonly WakeSignal _signal = new();
    private readonly EndWait _wait;
    private readonly StreamFile _file;
    private readonly PipePeeker _view;
    private readonly FrameReader _reader;
    private long _leases;
    private long _open;
    private int _leased;
    private Sight _found;

    public FifoReceiver(StreamFile file, FifoStreamOptions options)
    {
        _file = file;
        try
        {
            if (!file.TryBeReceiver()) throw new IOException($"{file.FifoPath} has a receiver already, and it is alive; dispose it first");
            _view = new PipePeeker(file.FifoPath, file.Rules, options);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _reader = new FrameReader(file, _view);
        _wait = new EndWait(_gate, this, _signal, _signal);
    }

    public override bool IsCompleted
    {
        get
        {
            _gate.Enter();
            try
            {
                return _reader.Find(out _) == Sight.End;
            }
            finally
            {
                Exit();
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
            if (!TryFind(out int bytes)) return false;
            leased = true;
            // The end stays entered until the lease ends.
            _open = ++_leases;
            _leased = bytes;
            lease = new ReadLease(this, new SlotToken(_open, 0), _view.Unread.Slice(_reader.PayloadAt, bytes));
            return true;
        }
        finally
        {
            if (!leased) Exit();
        }
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _gate.Enter();
        try
        {
            if (!TryFind(out bytes)) return false;
            if (bytes > destination.Length)
                throw new ArgumentException($"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream", nameof(destination));
            _view.Unread.Slice(_reader.PayloadAt, bytes).CopyTo(destination);
            _reader.Take(bytes);
            return true;
        }
        finally
        {
            Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        _gate.Enter();
        try
        {
            return _wait.Wait(timeout, cancellationToken) && _found != Sight.End;
        }
        finally
        {
            Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _gate.Enter();
        try
        {
            await _wait.WaitAsync(cancellationToken).ConfigureAwait(false);
            return _found != Sight.End;
        }
        finally
        {
            Exit();
        }
    }

    public override void Dispose()
    {
        if (_gate.IsClosed) return;
        bool release = _gate.Close();
        _signal.Set();
        if (release) Release();
    }

    bool IReadiness.IsReady(bool arm, out Pause pause)
    {
        pause = default;
        _found = _reader.Find(out _);
        if (_found != Sight.Nothing) return true;
        pause = _reader.Pause;
        if (arm) _wait.Arm(pause.Descriptor, pause.Events);
        return false;
    }

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _reader.Take(_leased);
        Exit();
    }

    private bool TryFind(out int bytes)
    {
        Sight sight = _reader.Find(out bytes);
        if (sight == Sight.Trouble) _reader.ThrowTrouble();
        return sight == Sight.Message;
    }

    private void Exit()
    {
        if (_gate.Exit()) Release();
    }

    private void Release()
    {
        _wait.Dispose();
        _view.Dispose();
        _file.Dispose();
    }
}
