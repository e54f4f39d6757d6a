using System.Buffers.Binary;
using System.Threading.Channels;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Streams;

// The writing end of a FIFO: connects when a receiver is there, writes a frame in one call, and keeps the rest of one that did not fit.
// While a rest is kept the lock stays held, so nobody writes into the middle of the frame; whoever comes by writes on: the owner's next
// call, the poller when there is room, or a process that is about to exit.

internal sealed class SenderPipe : IReadyTarget
{
    private const int RetryRest = 2, LongestRetry = 16, LongestCalm = 50; // ms: where another sender has the lock, or no receiver is there
    private readonly Lock _gate = new();
    private readonly StreamFile _file;
    private readonly FifoStreamOptions _options;
    private readonly FrameRules _rules;
    private byte[] _rest = [];
    private int _restStart, _restEnd;
    private int _fd = -1;
    private int _seekAfter = 1;
    private bool _locked;
    private bool _lostRest;
    private bool _lingering;
    private bool _closed;

    public SenderPipe(StreamFile file, FifoStreamOptions options, EndGate gate, IReadiness readiness)
    {
        _file = file;
        _options = options;
        _rules = file.Rules;
        Wait = new EndWait(gate, readiness, Signal, this);
        lock (_gate) SeekReceiver();
    }

    public FrameRules Rules => _rules;

    public WakeSignal Signal { get; } = new();

    public EndWait Wait { get; }

    private bool HasRest => _restEnd > _restStart;

    private int PayloadAt => _rules.Framing == FifoFraming.LengthPrefixed ? FrameRules.LengthBytes : 0;

    /// <summary>Sends a message, if there is room.</summary>
    /// <returns><see langword="false"/> where there is none, or nobody to send to yet; nothing was sent then.</returns>
    public bool TryWrite(ReadOnlySpan<byte> message)
    {
        lock (_gate)
        {
            if (!CanBegin() || !TryLock()) return false;
            int frame = message.Length + _rules.Overhead;
            if (frame > PipeCalls.PipeBuf) _file.IsFrameBegun = true;
            Span<byte> length = stackalloc byte[FrameRules.LengthBytes];
            BinaryPrimitives.WriteInt32LittleEndian(length, message.Length);
            bool lines = _rules.Framing == FifoFraming.Lines;
            int written = lines ? PipeCalls.Write(_fd, message, "\n"u8) : PipeCalls.Write(_fd, length, message);
            if (written == frame)
            {
                EndFrame(frame);
                return true;
            }

            if (written < 0)
            {
                EndFrame(frame);
                return written == -Libc.EAGAIN ? false : throw Failure(-written);
            }

            // Only a frame over PIPE_BUF can be split. All of it is in hand, so it counts as sent.
            if (lines) Keep(message, "\n"u8, written);
            else Keep(length, message, written);
            Wait.Arm(_fd, PipeCalls.POLLOUT);
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

    /// <summary>Sends what was written into reserved room: now, or, where somebody else took the room in the pipe, as soon as there is some.</summary>
    public void Commit(int bytes)
    {
        lock (_gate)
        {
            if (_rules.Framing == FifoFraming.LengthPrefixed) BinaryPrimitives.WriteInt32LittleEndian(_rest, bytes);
            else _rest[bytes] = (byte)'\n';
            _restStart = 0;
            _restEnd = bytes + _rules.Overhead;
            if (!WriteRest()) ComeBack();
            ThrowIfLost();
        }
    }

    /// <summary>Whether a message has room now, as far as can be known.</summary>
    public bool HasRoom(bool arm, out Pause pause)
    {
        lock (_gate)
        {
            bool writable = CanBegin() && IsWritable();
            if (writable && TryLock())
            {
                Unlock();
                pause = default;
                return true;
            }

            // Without the lock, or a receiver, there is nothing to sleep on.
            bool awaitsRoom = _fd >= 0 && !writable && (_locked || !HasRest || !_rules.NeedsLock);
            pause = awaitsRoom ? new Pause(_fd, PipeCalls.POLLOUT, 0) : new Pause(-1, 0, LongestRetry);
            if (arm && awaitsRoom) Wait.Arm(_fd, PipeCalls.POLLOUT);
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
                if (HasRest && !WriteRest()) ComeBack();
                else if (_lingering) EndLinger();
                else SeekReceiver();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Nobody is there to hear it. The owner's next call meets the same, or that a message was lost.
                if (HasRest) LoseRest();
                if (_lingering) Release();
            }
        }

        Signal.Set();
    }

    /// <summary>Closes the writing end, once what was sent is written.</summary>
    /// <param name="tell">Whether a receiver that is not there yet should still hear of the end.</param>
    public void Close(bool tell)
    {
        lock (_gate)
        {
            if (_closed || _lingering) return;
            bool written = !HasRest || WriteRest();
            if (written && (!tell || Connect()))
            {
                Release();
                return;
            }

            _lingering = true;
            PendingFlushes.Add(this, _options.Linger);
            ComeBack();
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
        if (_fd >= 0) return true;
        _fd = FifoFile.TryOpenWriting(_file.FifoPath);
        if (_fd < 0) return false;
        PipeCalls.Grow(_fd, _options.PipeBytes);
        return true;
    }

    /// <summary>Connects as soon as there is a receiver, whether or not the owner has anything to send: a shell's open waits for that.</summary>
    private void SeekReceiver()
    {
        if (Connect()) return;
        Wait.LookAfter(_seekAfter);
        _seekAfter = Math.Min(_seekAfter * 2, LongestCalm);
    }

    private bool IsWritable()
    {
        short ready = PipeCalls.Poll(_fd, PipeCalls.POLLOUT);
        return (ready & PipeCalls.POLLERR) == 0 ? (ready & PipeCalls.POLLOUT) != 0 : throw Failure(PipeCalls.EPIPE);
    }

    /// <summary>Takes the lock, if frames of this stream need one, unless a sender died holding it and the receiver has yet to notice.</summary>
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
                $"a sender died in the middle of a message in {_file.FifoPath}, and its reader is no receiver that could take it out; close all ends and begin again");
        }

        if (PipeCalls.Waiting(_fd) == 0)
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
        if (bytes > PipeCalls.PipeBuf) _file.IsFrameBegun = false;
        Unlock();
    }

    private void Keep(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int written)
    {
        EnsureRest(first.Length + second.Length);
        first.CopyTo(_rest);
        second.CopyTo(_rest.AsSpan(first.Length));
        _restStart = written;
        _restEnd = first.Length + second.Length;
    }

    private void EnsureRest(int bytes)
    {
        if (_rest.Length < bytes) _rest = new byte[Math.Min(_rules.MaxFrameBytes, Math.Max(bytes * 2L, PipeCalls.PageBytes))];
    }

    /// <summary>Writes on.</summary>
    /// <returns>Whether nothing is left; also where the receiver has left, and it is lost.</returns>
    private bool WriteRest()
    {
        if (_restStart == 0)
        {
            if (!TryLock()) return false;
            if (_restEnd > PipeCalls.PipeBuf) _file.IsFrameBegun = true;
        }

        while (HasRest)
        {
            int written = PipeCalls.Write(_fd, _rest.AsSpan(_restStart, _restEnd - _restStart));
            if (written == -Libc.EAGAIN) return false;
            if (written < 0)
            {
                if (_restStart == 0) EndFrame(_restEnd);
                LoseRest();
                return true;
            }

            _restStart += written;
        }

        EndFrame(_restEnd);
        _restStart = _restEnd = 0;
        return true;
    }

    private void ComeBack()
    {
        if (HasRest && (_locked || !_rules.NeedsLock)) Wait.Arm(_fd, PipeCalls.POLLOUT);
        else Wait.LookAfter(RetryRest);
    }

    private void EndLinger()
    {
        if (Connect()) Release();
        else Wait.LookAfter(RetryRest);
    }

    /// <summary>The receiver has gone in the middle of a frame. What was written of it stays marked as begun: the next receiver finds half of it, and is told.</summary>
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
        throw Left();
    }

    // The descriptor stays open: what the receiver left in the pipe is there for the next one, and so is this sender.
    private Exception Failure(int error) => error == PipeCalls.EPIPE ? Left() : Libc.Failure("write", _file.FifoPath, error);

    private ChannelClosedException Left() =>
        new($"the receiver of {_file.FifoPath} has left; what it had not read is kept for the next one as long as a sender is open, and nothing is sent until then");

    private void Release()
    {
        _closed = true;
        Unlock();
        Wait.Dispose();
        if (_fd >= 0) _ = Libc.Close(_fd);
        _fd = -1;
        _file.Dispose();
        PendingFlushes.Remove(this);
    }
}
