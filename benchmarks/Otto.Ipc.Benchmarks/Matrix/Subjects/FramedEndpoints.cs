using System.Buffers.Binary;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// For peers that carry bytes and not messages: a length before each message, written with it in one call,
// and as much read at once as there is.

internal abstract class FramedOutlet : Outlet
{
    private const int LengthBytes = 4;
    private byte[] _frame = [];

    public override Span<byte> Prepare(int bytes)
    {
        if (_frame.Length != LengthBytes + bytes)
        {
            _frame = new byte[LengthBytes + bytes];
            BinaryPrimitives.WriteInt32LittleEndian(_frame, bytes);
            Message.Fill(_frame.AsSpan(LengthBytes));
        }

        return _frame.AsSpan(LengthBytes);
    }

    protected override void Send(byte[] buffer, int bytes) => Write(_frame);

    protected abstract void Write(ReadOnlySpan<byte> bytes);
}

internal abstract class FramedInlet : Inlet
{
    private const int LengthBytes = 4;
    private byte[] _buffer = new byte[64 << 10];
    private int _start, _end;

    protected override bool TryReceive(out ReadOnlySpan<byte> message)
    {
        while (true)
        {
            int there = _end - _start;
            if (there >= LengthBytes)
            {
                int length = BinaryPrimitives.ReadInt32LittleEndian(_buffer.AsSpan(_start));
                if (there >= LengthBytes + length)
                {
                    message = _buffer.AsSpan(_start + LengthBytes, length);
                    _start += LengthBytes + length;
                    return true;
                }

                MakeRoom(LengthBytes + length);
            }
            else
            {
                MakeRoom(LengthBytes);
            }

            int read = Read(_buffer.AsSpan(_end));
            if (read < 0)
            {
                message = default;
                return false;
            }

            if (read == 0) throw new EndOfStreamException("the other side has closed");
            _end += read;
        }
    }

    /// <summary>Reads what there is.</summary>
    /// <returns>How much; 0 at the end, -1 where there is nothing now.</returns>
    protected abstract int Read(Span<byte> destination);

    private void MakeRoom(int frame)
    {
        if (_start == _end) _start = _end = 0;
        if (_buffer.Length - _start >= frame && _end < _buffer.Length) return;
        byte[] next = _buffer.Length >= frame ? _buffer : new byte[Math.Max(frame, _buffer.Length * 2)];
        _buffer.AsSpan(_start, _end - _start).CopyTo(next);
        (_buffer, _end, _start) = (next, _end - _start, 0);
    }
}
