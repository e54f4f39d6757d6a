using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Relays;

// One producer's FIFO, read into a buffer. The relay holds a writing end of it too, so that the close after one echo is not the end of
// all: the end is the producer's own, and what lies in the pipe by then is still read.

internal sealed class RelayInlet
{
    private const int BufferBytes = 64 * 1024;
    private readonly FifoFraming? _framing;
    private readonly bool _untilClosed;
    private readonly WaitRegistration _registration;
    private readonly byte[] _buffer = new byte[BufferBytes + 1]; // one more, to end a line that was left open
    private RelayFrames _frames;
    private Pipe _pipe, _keeper;
    private int _filled;
    private int _toDrain = -1;
    private volatile bool _programEnded;

    /// <param name="path">The FIFO.</param>
    /// <param name="framing">How frames that must stay whole are separated; <see langword="null"/> if bytes pass
    /// unchanged.</param>
    /// <param name="options">The relay's.</param>
    /// <param name="signal">What is set when there is something to read.</param>
    public RelayInlet(string path, FifoFraming? framing, FifoRelayOptions options, WakeSignal signal)
    {
        Path = path;
        _framing = framing;
        _frames = new RelayFrames(framing);
        _untilClosed = options.UntilClosed;
        _registration = new WaitRegistration(signal);
        _pipe = FifoFile.OpenReading(path);
        _keeper = FifoFile.TryOpenWriting(path);
        _pipe.Grow(options.PipeBytes);
    }

    public string Path { get; }

    /// <summary>How many bytes came.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether nothing more will come. What came may still have to be passed on.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>What could not be passed on whole.</summary>
    public string? Error { get; private set; }

    /// <summary>Whether a part of a frame was passed on whose rest will never come: nothing can follow it.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Whether part of a frame was passed on, so that bytes of another producer must not follow.</summary>
    public bool IsInFrame => _frames.IsInside;

    /// <summary>Whether everything was passed on.</summary>
    public bool IsDone => HasEnded && _filled == 0;

    /// <summary>Whether the producer has ended.</summary>
    public bool ProgramEnded
    {
        get => _programEnded;
        set => _programEnded = value;
    }

    /// <summary>Reads what there is, as far as there is room for it.</summary>
    /// <returns>Whether something happened.</returns>
    public bool Fill()
    {
        if (HasEnded) return false;
        if (_programEnded && _keeper.IsOpen) BeginEnd();
        if (_toDrain == 0) return End();
        int room = BufferBytes - _filled;
        if (room == 0) return false;
        PipeTransfer transfer = _pipe.Read(_buffer.AsSpan(_filled, _toDrain < 0 ? room : Math.Min(room, _toDrain)));
        if (transfer.WouldBlock) return _toDrain > 0 && End(); // another process took what was there
        if (transfer.Failed) throw transfer.ToException("read", Path);
        int read = transfer.Bytes;
        if (read == 0) return End();
        _filled += read;
        Bytes += read;
        if (_toDrain > 0) _toDrain -= read;
        return true;
    }

    /// <summary>What may be passed on now: bytes as they are, whole frames, or a part of
    /// one that is larger than the buffer.</summary>
    public ReadOnlySpan<byte> Ready()
    {
        ReadOnlySpan<byte> bytes = _buffer.AsSpan(0, _filled);
        int whole = _frames.Whole(bytes);
        return whole > 0 || (_filled < BufferBytes && !_frames.IsInside) ? bytes[..whole] : bytes;
    }

    /// <summary>The beginning of what came.</summary>
    public ReadOnlySpan<byte> First(int bytes) => _buffer.AsSpan(0, bytes);

    /// <summary>Forgets what was passed on.</summary>
    public void Consume(int bytes)
    {
        _frames.Forward(First(bytes));
        _buffer.AsSpan(bytes, _filled - bytes).CopyTo(_buffer);
        _filled -= bytes;
    }

    /// <summary>Has the signal set when there is more to read.</summary>
    public void Arm()
    {
        if (!HasEnded && _filled < BufferBytes) _registration.Arm(_pipe.Id, PollEvents.Readable);
    }

    /// <summary>Lets in a program that waits to open the FIFO after the end: its write
    /// fails as into any pipe that is not read.</summary>
    public void RejectWaiting() => FifoFile.OpenReading(Path).Close();

    public void Close()
    {
        HasEnded = true;
        _registration.Leave();
        _keeper.Close();
        _pipe.Close();
        _pipe = _keeper = default;
    }

    /// <summary>The producer has ended. All that it wrote is in the pipe now; with others'
    /// writing on, that much and no more is read.</summary>
    private void BeginEnd()
    {
        _keeper.Close();
        _keeper = default;
        if (!_untilClosed) _toDrain = _pipe.WaitingBytes;
    }

    private bool End()
    {
        Close();
        int open = _filled - _frames.Whole(_buffer.AsSpan(0, _filled));
        if (open == 0 && !(_frames.IsInside && _filled == 0)) return true;
        if (_framing == FifoFraming.Lines)
        {
            // The next producer's line must not be taken for the rest of this one's.
            _buffer[_filled++] = (byte)'\n';
            return true;
        }

        IsBroken = _frames.IsInside;
        Error = IsBroken
            ? $"the last frame in {Path} is truncated, and a part of it was already passed on: nothing can follow it"
            : $"the last frame in {Path} is truncated: only {open:N0} bytes of it arrived, and they were dropped";
        _filled -= open;
        return true;
    }
}
