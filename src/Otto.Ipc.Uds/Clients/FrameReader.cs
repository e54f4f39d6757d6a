using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// Frames out of a stream of bytes, however they were cut. A server that turns a client away does so in text, before it knows the dialect.

/// <summary>Reads the server's frames, one after another.</summary>
internal sealed class FrameReader(Socket socket)
{
    private const int FirstBytes = 16 << 10, MostBytes = 1 << 30;
    private static readonly int TextBeginning = BinaryPrimitives.ReadInt32LittleEndian("ERRO"u8);
    private byte[] _buffer = new byte[FirstBytes];
    private int _start, _end, _length;

    /// <summary>How the frame that was read last answers.</summary>
    public WireStatus Status => (WireStatus)_buffer[_start + Wire.LengthBytes];

    /// <summary>Its payload, valid until the next read.</summary>
    public ReadOnlyMemory<byte> Payload => _buffer.AsMemory(_start + Wire.HeaderBytes, _length - Wire.HeaderBytes);

    /// <summary>Advances to the next frame if it has arrived completely.</summary>
    public bool TryNext()
    {
        if (!TryLength(_start + _length, out int length) || _end - _start - _length < length) return false;
        _start += _length;
        _length = length;
        return true;
    }

    /// <summary>Advances to the next frame.</summary>
    /// <returns>
    /// <see langword="true"/> if there is a frame; <see langword="false"/> if the server has closed the connection.
    /// </returns>
    public async ValueTask<bool> NextAsync(CancellationToken cancellationToken)
    {
        while (!TryNext())
        {
            MakeRoom();
            int received = await socket.ReceiveAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (received == 0) return false;
            _end += received;
        }

        return true;
    }

    private bool TryLength(int at, out int length)
    {
        length = 0;
        if (_end - at < Wire.LengthBytes) return false;
        length = BinaryPrimitives.ReadInt32LittleEndian(_buffer.AsSpan(at));
        if (length is >= 1 and <= MostBytes)
        {
            length += Wire.LengthBytes;
            return true;
        }

        if (length != TextBeginning) throw new InvalidDataException($"a frame of {(uint)length:N0} bytes is no answer of this protocol");
        int newline = _buffer.AsSpan(at, _end - at).IndexOf((byte)'\n');
        return newline < 0 ? false : throw WireSocket.Error(_buffer.AsSpan(at, newline)["ERROR: ".Length..]);
    }

    private void MakeRoom()
    {
        // The frame that was read last is done with.
        _start += _length;
        _length = 0;
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
        else if (_end == 0 && _buffer.Length > FirstBytes * 64)
        {
            // One large answer should not be paid for ever after.
            _buffer = new byte[FirstBytes];
        }
    }
}
