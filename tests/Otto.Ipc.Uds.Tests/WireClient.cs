using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Otto.Ipc.Uds.Tests;

// A client that knows only the protocol: it sends bytes and reads bytes, and nothing of the library under test is in it.

internal sealed class WireClient : IDisposable
{
    private readonly Socket _socket =
        new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 30_000, SendTimeout = 30_000 };
    private readonly MemoryStream _line = new();
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _at, _end;

    public WireClient(string path) => _socket.Connect(new UnixDomainSocketEndPoint(path));

    public void Send(string text) => Send(Encoding.UTF8.GetBytes(text));

    public void Send(byte[] bytes)
    {
        try
        {
            for (int at = 0; at < bytes.Length;) at += _socket.Send(bytes, at, bytes.Length - at, SocketFlags.None);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.Shutdown)
        {
            // The server has closed; what it said before is still to be read.
        }
    }

    /// <summary>Sends as much as the kernel takes now.</summary>
    public int TrySend(byte[] bytes)
    {
        _socket.Blocking = false;
        try
        {
            return _socket.Send(bytes);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
        {
            return 0;
        }
        finally
        {
            _socket.Blocking = true;
        }
    }

    public void EndInput() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>A command and its answer.</summary>
    public string? Ask(string command)
    {
        Send(command + "\n");
        return ReadLine();
    }

    /// <summary>The next line without its newline; null at the end.</summary>
    public string? ReadLine()
    {
        _line.SetLength(0);
        while (true)
        {
            if (_at == _end && !Fill())
                return _line.Length == 0 ? null
                    : throw new EndOfStreamException($"a line without its end: {Encoding.UTF8.GetString(_line.ToArray())}");
            int newline = _buffer.AsSpan(_at, _end - _at).IndexOf((byte)'\n');
            int part = newline < 0 ? _end - _at : newline;
            _line.Write(_buffer, _at, part);
            _at += part;
            if (newline < 0) continue;
            _at++;
            return Encoding.UTF8.GetString(_line.GetBuffer(), 0, (int)_line.Length);
        }
    }

    public string ReadToEnd()
    {
        using var all = new MemoryStream();
        do
        {
            all.Write(_buffer, _at, _end - _at);
            _at = _end;
        }
        while (Fill());
        return Encoding.UTF8.GetString(all.ToArray());
    }

    public byte[] Read(int bytes)
    {
        byte[] read = new byte[bytes];
        for (int done = 0; done < bytes;)
        {
            if (_at == _end && !Fill()) throw new EndOfStreamException($"{done} of {bytes} bytes");
            int part = Math.Min(bytes - done, _end - _at);
            _buffer.AsSpan(_at, part).CopyTo(read.AsSpan(done));
            _at += part;
            done += part;
        }

        return read;
    }

    /// <summary>Whether the connection's end comes next.</summary>
    public bool IsAtEnd() => _at == _end && !Fill();

    public void SendFrame(byte command, params byte[][] parts) => Send(Frame(command, parts));

    public static byte[] Frame(byte command, params byte[][] parts)
    {
        byte[] payload = [.. parts.SelectMany(p => p)];
        byte[] frame = new byte[5 + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, 1 + payload.Length);
        frame[4] = command;
        payload.CopyTo(frame, 5);
        return frame;
    }

    /// <summary>A name with its length before it.</summary>
    public static byte[] Name(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return [(byte)bytes.Length, (byte)(bytes.Length >> 8), .. bytes];
    }

    public (byte Status, byte[] Payload) ReadFrame()
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(Read(4));
        byte[] rest = Read(length);
        return (rest[0], rest[1..]);
    }

    public (byte Status, byte[] Payload) AskFrame(byte command, params byte[][] parts)
    {
        SendFrame(command, parts);
        return ReadFrame();
    }

    public void Dispose() => _socket.Dispose();

    private bool Fill()
    {
        _at = _end = 0;
        try
        {
            _end = _socket.Receive(_buffer);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset)
        {
            // The server closed before it had read everything.
        }

        return _end > 0;
    }
}
