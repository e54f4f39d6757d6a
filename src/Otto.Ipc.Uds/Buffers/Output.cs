using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Buffers;

// What waits to be taken by a client. A connection holds memory here only while the kernel does not take what it is given, most often not
// even to the end of its turn.

/// <summary>What one client has not taken yet, in order.</summary>
internal sealed class Output(BufferPool pool) : IReplyWriter
{
    // From here on a value is sent from where it lies instead of being copied.
    private const int SharedFrom = 4 << 10;

    private Chunk? _head, _tail;

    /// <summary>Bytes that the kernel has not taken.</summary>
    public long Unsent { get; private set; }

    /// <summary>Answers among them.</summary>
    public int Answers { get; private set; }

    /// <summary>Whether the client has gone; what is appended is dropped.</summary>
    public bool IsBroken { get; private set; }

    public bool IsEmpty => _head is null;

    /// <summary>Whether a value may wait here, beside all that waits for all clients; a small one always may.</summary>
    public bool HasRoomFor(long valueBytes) => valueBytes < SharedFrom || pool.Budget.HasRoomFor(valueBytes);

    /// <summary>Whether so many bytes may wait here, beside all that waits for all clients.</summary>
    public bool HasMemoryFor(long bytes) => pool.Budget.HasRoomFor(bytes);

    /// <summary>
    /// Gets room for some bytes in one piece. The bytes count once <see cref="Advance"/> is called with their number.
    /// </summary>
    public Span<byte> Reserve(int bytes)
    {
        if (_tail is null || _tail.Room < bytes) Link(pool.Rent());
        return _tail!.Free;
    }

    public void Advance(int bytes)
    {
        _tail!.End += bytes;
        Unsent += bytes;
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            Span<byte> room = Reserve(1);
            int part = Math.Min(room.Length, bytes.Length);
            bytes[..part].CopyTo(room);
            Advance(part);
            bytes = bytes[part..];
        }
    }

    /// <summary>Appends a value that must not change any more.</summary>
    public void AppendValue(byte[] value)
    {
        if (value.Length < SharedFrom)
        {
            Append(value);
            return;
        }

        Link(pool.Wrap(value));
        Unsent += value.Length;
    }

    /// <summary>Marks the end of an answer after the bytes that were appended last.</summary>
    public void EndAnswer()
    {
        _tail!.Answers++;
        Answers++;
    }

    /// <summary>Sends as many bytes as the kernel accepts.</summary>
    /// <returns>
    /// <see langword="true"/> if the kernel accepted any bytes; otherwise, <see langword="false"/>.
    /// <see cref="IsEmpty"/> indicates whether it accepted all of them.
    /// </returns>
    public bool Flush(UnixSocket socket)
    {
        bool took = false;
        while (_head is { } chunk)
        {
            if (IsBroken || chunk.Start == chunk.End)
            {
                Unlink(chunk);
                continue;
            }

            SocketResult result = socket.Send(chunk.Unsent, out int sent);
            if (result == SocketResult.WouldBlock) break;
            if (result == SocketResult.Ended)
            {
                Break();
                break;
            }

            took = true;
            chunk.Start += sent;
            Unsent -= sent;
        }

        return took;
    }

    /// <summary>The client has gone: nothing of it is kept.</summary>
    public void Break()
    {
        IsBroken = true;
        while (_head is { } chunk) Unlink(chunk);
    }

    private void Link(Chunk chunk)
    {
        if (_tail is null) _head = chunk;
        else _tail.Next = chunk;
        _tail = chunk;
    }

    private void Unlink(Chunk chunk)
    {
        _head = chunk.Next;
        if (_head is null) _tail = null;
        Release(chunk);
    }

    private void Release(Chunk chunk)
    {
        Unsent -= chunk.End - chunk.Start;
        Answers -= chunk.Answers;
        chunk.Start = chunk.End;
        pool.Return(chunk);
    }
}
