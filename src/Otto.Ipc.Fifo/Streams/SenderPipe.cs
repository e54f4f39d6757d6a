using System.Buffers.Binary;
using System.Threading.Channels;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Streams;

// The writing end of a FIFO: connects when a receiver is there, writes a frame in one call, and keeps the rest of one that did not fit.
// While a rest is kept the lock stays held, so nobody writes into the middle of the frame; whoever comes by writes on: the owner's next
// call, the poller when there is room, or a process that is about to exit.

internal sealed class SenderPipe : IWaitHandler
{
    private const int RetryRest = 2, LongestRetry = 16, LongestSeek = 50; // ms: where another sender has the lock, or no receiver is there
    private readonly Lock _gate = new();
    private readonly StreamFile _file;
    private readonly FifoStreamOptions _options;
    private readonly FrameRules _rules;
    private byte[] _rest = [];
    private int _restStart, _restEnd;
    private Pipe _pipe;
    private int _seekPause = 1;
    private bool _locked;
    private bool _lostRest;
    private bool _isFlushing;
    private bool _closed;

    public SenderPipe(StreamFile file, FifoStreamOptions options, ExclusiveUse use, IWaitCondition condition)
    {
        _file = file;
        _options = options;
        _rules = file.Rules;
        Wait = new WaitLoop(use, condition, Signal, this);
        lock (_gate) SeekReceiver();
    }

    public FrameRules Rules => _rules;

    public WakeSignal Signal { get; } = new();

    public WaitLoop Wait { get; }

    private bool HasRest => _restEnd > _restStart;

    private int PayloadAt => _rules.Framing == FifoFraming.LengthPrefixed ? FrameRules.LengthBytes : 0;

    /// <summary>Sends a message, if there is room.</summary>
    /// <returns><see langword="true"/> if the message was sent; <see langword="false"/> if there is no room or no
    /// receiver yet, and nothing was sent.</returns>
    public bool TryWrite(ReadOnlySpan<byte> message)
    {
        lock (_gate)
        {
            if (!CanBegin() || !TryLock()) return false;
            int frame = message.Length + _rules.Overhead;
            if (frame > Pipe.AtomicBytes) _file.IsFrameBegun = true;
            Span<byte> length = stackalloc byte[FrameRules.LengthBytes];
            BinaryPrimitives.WriteInt32LittleEndian(length, message.Length);
            bool lines = _rules.Framing == FifoFraming.Lines;
            PipeTransfer transfer = lines ? _pipe.Write(message, "\n"u8) : _pipe.Write(length, message);
            if (transfer.Bytes == frame)
            {
                EndFrame(frame);
                return true;
            }

            if (transfer.Failed)
            {
                EndFrame(frame);
                return transfer.WouldBlock ? false : throw Failure(transfer);
            }

            // Only a frame over PIPE_BUF can be split. All of it is in hand, so it counts as sent.
            if (lines) BufferRest(message, "\n"u8, transfer.Bytes);
            else BufferRest(length, message, transfer.Bytes);
            Wait.Arm(_pipe.Id, PollEvents.Writable);
            return true;
        }
    }

    /// <summary>Makes room for a message in memory, where there is room in the pipe.</summary>
    public bool TryReserve(int bytes, out Span<byte> room)
    {
        lock (_gate)
        {
            room = default;
            if (!CanBegin() || !IsWritable()) return false;
            EnsureRest(bytes + _rules.Overhead);
            room = _rest.AsSpan(PayloadAt, bytes);
            return true;
        }
    }

    /// <summary>What was written into reserved room so far.</summary>
    public ReadOnlySpan<byte> Reserved(int bytes) => _rest.AsSpan(PayloadAt, bytes);

    /// <summary>Sends what was written into reserved room. Sends it now or, if another sender took the room in the
    /// pipe, as soon as there is some.</summary>
    public void Commit(int bytes)
    {
        lock (_gate)
        {
            if (_rules.Framing == FifoFraming.LengthPrefixed) BinaryPrimitives.WriteInt32LittleEndian(_rest, bytes);
            else _rest[bytes] = (byte)'\n';
            _restStart = 0;
            _restEnd = bytes + _rules.Overhead;
            if (!WriteRest()) ScheduleRest();
            ThrowIfLost();
        }
    }

    /// <summary>Whether a message has room now, as far as can be known.</summary>
    public bool HasRoom(bool arm, out SleepSource source)
    {
        lock (_gate)
        {
            bool writable = CanBegin() && IsWritable();
            if (writable && TryLock())
            {
                Unlock();
                source = default;
                return true;
            }

            // Without the lock, or a receiver, there is nothing to sleep on.
            bool awaitsRoom = _pipe.IsOpen && !writable && (_locked || !HasRest || !_rules.NeedsLock);
            source = awaitsRoom ? new SleepSource(_pipe.Id, PollEvents.Writable, 0) : new SleepSource(-1, PollEvents.None, LongestRetry);
            if (arm && awaitsRoom) Wait.Arm(_pipe.Id, PollEvents.Writable);
            return false;
        }
    }

    public void OnReady()
    {
        lock (_gate)
        {
            if (_closed) return;
            try
            {
                if (HasRest && !WriteRest()) ScheduleRest();
                else if (_isFlushing) EndLinger();
                else SeekReceiver();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Nobody is there to hear it. The owner's next call meets the same, or that a message was lost.
                if (HasRest) LoseRest();
                if (_isFlushing) Release();
            }
        }

        Signal.Set();
    }

    public void Fail(IOException failure) => Signal.Set();

    /// <summary>Closes the writing end, once what was sent is written.</summary>
    /// <param name="tell">Whether a receiver that is not there yet should still be notified of the end.</param>
    public void Close(bool tell)
    {
        lock (_gate)
        {
            if (_closed || _isFlushing) return;
            bool written = !HasRest || WriteRest();
            if (written && (!tell || Connect()))
            {
                Release();
                return;
            }

            _isFlushing = true;
            PendingFlushes.Add(this, _options.Linger);
            ScheduleRest();
        }
    }

    /// <summary>Gives up what a receiver does not take.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            if (!_closed) Release();
        }
    }

    /// <summary>Whether a frame may be begun: connected, and nothing left of the one before.</summary>
    private bool CanBegin()
    {
        if (HasRest && !WriteRest()) return false;
        ThrowIfLost();
        return Connect();
    }

    private bool Connect()
    {
        if (_pipe.IsOpen) return true;
        _pipe = FifoFile.TryOpenWriting(_file.FifoPath);
        if (!_pipe.IsOpen) return false;
        _pipe.Grow(_options.PipeBytes);
        return true;
    }

    /// <summary>Connects as soon as there is a receiver, whether or not the owner has
    /// anything to send: a shell's open waits for that.</summary>
    private void SeekReceiver()
    {
        if (Connect()) return;
        Wait.CallAfter(_seekPause);
        _seekPause = Math.Min(_seekPause * 2, LongestSeek);
    }

    private bool IsWritable()
    {
        bool writable = _pipe.CanWrite(out bool hasNoReader);
        return hasNoReader ? throw ReceiverClosed() : writable;
    }

    /// <summary>Takes the lock, if frames of this stream need one, unless a sender died
    /// holding it and the receiver has yet to notice.</summary>
    private bool TryLock()
    {
        if (_locked || !_rules.NeedsLock) return true;
        if (!_file.TryLockWriting()) return false;
        _locked = true;
        if (!_file.IsFrameBegun) return true;
        if (!_file.HasReceiver)
        {
            Unlock();
            throw new IOException(
                $"a sender died in the middle of a message in {_file.FifoPath}, and its reader cannot remove the partial message; "
                + $"close all ends and open them again");
        }

        if (_pipe.WaitingBytes == 0)
        {
            // It died before the first byte, or after the last: the receiver leaves half a frame where it is.
            _file.IsFrameBegun = false;
            return true;
        }

        Unlock();
        return false;
    }

    private void Unlock()
    {
        if (_locked) _file.UnlockWriting();
        _locked = false;
    }

    private void EndFrame(int bytes)
    {
        if (bytes > Pipe.AtomicBytes) _file.IsFrameBegun = false;
        Unlock();
    }

    private void BufferRest(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int written)
    {
        EnsureRest(first.Length + second.Length);
        first.CopyTo(_rest);
        second.CopyTo(_rest.AsSpan(first.Length));
        _restStart = written;
        _restEnd = first.Length + second.Length;
    }

    private void EnsureRest(int bytes)
    {
        if (_rest.Length < bytes) _rest = new byte[Math.Min(_rules.MaxFrameBytes, Math.Max(bytes * 2L, Pipe.PageBytes))];
    }

    /// <summary>Writes on.</summary>
    /// <returns>Whether nothing is left; also where the receiver has left, and it is lost.</returns>
    private bool WriteRest()
    {
        if (_restStart == 0)
        {
            if (!TryLock()) return false;
            if (_restEnd > Pipe.AtomicBytes) _file.IsFrameBegun = true;
        }

        while (HasRest)
        {
            PipeTransfer transfer = _pipe.Write(_rest.AsSpan(_restStart, _restEnd - _restStart));
            if (transfer.WouldBlock) return false;
            if (transfer.Failed)
            {
                if (_restStart == 0) EndFrame(_restEnd);
                LoseRest();
                return true;
            }

            _restStart += transfer.Bytes;
        }

        EndFrame(_restEnd);
        _restStart = _restEnd = 0;
        return true;
    }

    private void ScheduleRest()
    {
        if (HasRest && (_locked || !_rules.NeedsLock)) Wait.Arm(_pipe.Id, PollEvents.Writable);
        else Wait.CallAfter(RetryRest);
    }

    private void EndLinger()
    {
        if (Connect()) Release();
        else Wait.CallAfter(RetryRest);
    }

    /// <summary>Handles a receiver that left in the middle of a frame. The written part stays marked as begun: the next
    /// receiver finds a partial frame, and is notified.</summary>
    private void LoseRest()
    {
        _restStart = _restEnd = 0;
        _lostRest = true;
        Unlock();
    }

    private void ThrowIfLost()
    {
        if (!_lostRest) return;
        _lostRest = false;
        throw ReceiverClosed();
    }

    // The pipe stays open: what the receiver left in it is there for the next one, and so is this sender.
    private Exception Failure(PipeTransfer transfer) =>
        transfer.HasNoReader ? ReceiverClosed() : transfer.ToException("write", _file.FifoPath);

    private ChannelClosedException ReceiverClosed() =>
        new($"the receiver of {_file.FifoPath} was closed; unread messages are kept for the next one while a sender is open, and "
        + $"no message can be sent until it opens");

    private void Release()
    {
        _closed = true;
        Unlock();
        Wait.Dispose();
        _pipe.Close();
        _pipe = default;
        _file.Dispose();
        PendingFlushes.Remove(this);
    }
}
