using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;

namespace Otto.Ipc.Fifo.Streams;

// The contract of a sender over a SenderPipe: one thread at a time, slots that outlive their end, sizes checked before anything is written.

internal sealed class FifoSender : MessageSender, IWaitCondition
{
    private readonly ExclusiveUse _use;
    private readonly StreamFile _file;
    private readonly SenderPipe _pipe;
    private long _reservations;
    private long _open;
    private bool _completed;

    public FifoSender(StreamFile file, FifoStreamOptions options)
    {
        _file = file;
        _use = new ExclusiveUse(() => _pipe!.Close(tell: false));
        try
        {
            _pipe = new SenderPipe(file, options, _use, this);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override int MaxMessageBytes => _pipe.Rules.MaxMessageBytes;

    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        CheckSize(message.Length);
        CheckLine(message);
        Enter();
        try
        {
            return _pipe.TryWrite(message);
        }
        catch (InvalidOperationException) when (_use.IsClosed)
        {
            // Both ends were closed beside this call: the order does not matter to the caller.
            _use.ThrowIfClosed();
            throw;
        }
        finally
        {
            Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        CheckSize(maxBytes);
        Enter();
        bool reserved = false;
        try
        {
            slot = default;
            if (!_pipe.TryReserve(maxBytes, out Span<byte> room)) return false;
            reserved = true;
            // The end stays entered until commit or abort: that is what makes overlapping use throw. Numbered, so that a copy of a slot
            // that was aborted does not pass for the next one.
            _open = ++_reservations;
            slot = new WriteSlot(this, new SlotToken(_open, 0), room);
            return true;
        }
        finally
        {
            if (!reserved) Exit();
        }
    }

    public override bool WaitToSend(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        Enter();
        try
        {
            return _pipe.Wait.Wait(timeout, cancellationToken);
        }
        finally
        {
            Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        Enter();
        try
        {
            await _pipe.Wait.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Exit();
        }
    }

    public override void Complete()
    {
        _use.Enter();
        _completed = true;
        _pipe.Close(tell: true);
        Exit();
    }

    public override void Dispose()
    {
        if (_use.IsClosed) return;
        _use.Close();
        _pipe.Signal.Set();
    }

    bool IWaitCondition.Poll(bool arm, out SleepSource source)
    {
        if (_pipe.HasRoom(arm, out source)) return true;
        _file.ThrowIfRemoved();
        return false;
    }

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        CheckLine(_pipe.Reserved(bytes));
        _open = 0;
        try
        {
            _pipe.Commit(bytes);
        }
        finally
        {
            Exit();
        }

        return true;
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        Exit();
    }

    private void Enter()
    {
        _use.Enter();
        if (!_completed)
        {
            try
            {
                _file.ThrowIfRemoved();
                return;
            }
            catch
            {
                Exit();
                throw;
            }
        }

        Exit();
        throw new InvalidOperationException("this sender was completed; open another one to send more");
    }

    private void Exit() => _use.Exit();

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes) ThrowSize(bytes);
    }

    private void CheckLine(ReadOnlySpan<byte> message)
    {
        if (_pipe.Rules.Framing == FifoFraming.Lines && message.IndexOf((byte)'\n') is >= 0 and int at)
        {
            throw new ArgumentException(
                $"a line cannot hold a line feed, and this message of {message.Length:N0} bytes has one at byte {at:N0}; send it in "
                + $"parts, or open the stream with length-prefixed frames",
                nameof(message));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowSize(int bytes) => throw new ArgumentOutOfRangeException(nameof(bytes), bytes < 0
        ? $"a message cannot have {bytes:N0} bytes"
        : $"message of {bytes:N0} bytes exceeds the limit of {MaxMessageBytes:N0}; raise MaxMessageBytes at every end of the stream");
}
