using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// A connection that hears news: one pattern, asked for once, and then frames.

/// <summary>The content of one frame.</summary>
internal readonly record struct WireEvent(EventKind Kind, string Name, ReadOnlyMemory<byte> Value)
{
    /// <summary>How many messages were lost, where the kind is that.</summary>
    public long Lost => BinaryPrimitives.ReadInt64LittleEndian(Value.Span);
}

/// <summary>A connection with one subscription.</summary>
internal sealed class EventConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly FrameReader _frames;

    private EventConnection(Socket socket)
    {
        _socket = socket;
        _frames = new FrameReader(socket);
    }

    /// <summary>Subscribes. The connection receives every event that happens after this call completes.</summary>
    /// <param name="client">How to reach the server.</param>
    /// <param name="pattern">To what.</param>
    /// <param name="interests">The kinds of events to receive.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The connection. Commands asked on it are answered behind a snapshot.</returns>
    public static async Task<EventConnection> OpenAsync(UdsClient client, byte[] pattern, Interests interests,
        CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            var connection = new EventConnection(
                await WireSocket.ConnectAsync(client.SocketPath, client.Options, cancellationToken).ConfigureAwait(false));
            try
            {
                await connection.AskAsync(WireCommand.Watch, [(byte)interests, .. pattern], cancellationToken).ConfigureAwait(false);
                if (!await connection.NextAsync(cancellationToken).ConfigureAwait(false))
                    throw new SocketException((int)SocketError.ConnectionReset);
                if (connection._frames.Status != WireStatus.Ok) throw WireSocket.Error(connection._frames.Payload.Span);
                return connection;
            }
            catch (SocketException e)
            {
                // A server that is being killed still takes connections for a moment.
                connection.Dispose();
                if (Stopwatch.GetElapsedTime(start) >= client.Options.ConnectTimeout)
                    throw new IOException($"the connection to the server was lost: {e.Message}", e);
            }
            catch
            {
                connection.Dispose();
                throw;
            }

            await Task.Delay(WireSocket.Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Sends a command; its answer comes among the events. Where the server has
    /// closed, what it said before comes there too, and then the end.</summary>
    public async Task AskAsync(WireCommand command, byte[] payload, CancellationToken cancellationToken)
    {
        byte[] frame = new byte[Wire.HeaderBytes + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, 1 + payload.Length);
        frame[4] = (byte)command;
        payload.CopyTo(frame, Wire.HeaderBytes);
        try
        {
            for (ReadOnlyMemory<byte> rest = frame; !rest.IsEmpty;)
                rest = rest[await _socket.SendAsync(rest, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.Shutdown or SocketError.ConnectionReset
            or SocketError.ConnectionAborted)
        {
            // It may have said why it turns this client away.
        }
    }

    /// <summary>Waits for the next frame, event or answer.</summary>
    /// <returns>
    /// <see langword="true"/> if there is a frame; <see langword="false"/> if the server has closed the connection.
    /// </returns>
    public ValueTask<bool> NextAsync(CancellationToken cancellationToken) => _frames.NextAsync(cancellationToken);

    /// <summary>Whether the next frame is here already.</summary>
    public bool TryNext() => _frames.TryNext();

    /// <summary>The answer that came, where the frame is one.</summary>
    public bool IsAnswer(out ReadOnlyMemory<byte> payload)
    {
        payload = _frames.Payload;
        // An error that was not asked for is the server's farewell.
        return _frames.Status switch { WireStatus.Event => false, WireStatus.Error => throw WireSocket.Error(payload.Span), _ => true };
    }

    /// <summary>The event that came; its value is a copy.</summary>
    public WireEvent Event()
    {
        ReadOnlySpan<byte> payload = _frames.Payload.Span;
        int nameLength = BinaryPrimitives.ReadUInt16LittleEndian(payload[9..]);
        return new WireEvent((EventKind)payload[8], Encoding.UTF8.GetString(payload.Slice(11, nameLength)),
            payload[(11 + nameLength)..].ToArray());
    }

    public void Dispose() => _socket.Dispose();
}
