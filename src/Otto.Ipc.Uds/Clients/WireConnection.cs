using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// One connection for any number of callers: each appends its command to what is about to be sent, whoever finds nobody sending sends for
// all, and answers are handed out in the order in which they were asked for.

/// <summary>An answer of the server.</summary>
internal readonly record struct WireAnswer(WireStatus Status, byte[] Payload)
{
    /// <summary>The answer, where it is no error.</summary>
    public WireAnswer Checked() => Status == WireStatus.Error ? throw WireSocket.Error(Payload) : this;
}

/// <summary>
/// A pipelined connection. It ends with the first failure. Every call that waits for an answer then fails with that
/// failure.
/// </summary>
internal sealed class WireConnection : IDisposable
{
    /// <summary>How many commands may wait for their answers: far below what a server allows.</summary>
    public const int MaxInFlight = 16_384;

    private const int MaxOutgoing = 4 << 20;
    private readonly Socket _socket;
    private readonly Lock _gate = new();
    private readonly Queue<TaskCompletionSource<WireAnswer>> _asked = new();
    private ArrayBufferWriter<byte> _outgoing = new(), _sending = new();
    private TaskCompletionSource? _progress;
    private bool _isSending;
    private Exception? _end;

    private WireConnection(Socket socket) => _socket = socket;

    /// <summary>Whether it can still be asked.</summary>
    public bool IsAlive
    {
        get
        {
            lock (_gate) return _end is null;
        }
    }

    /// <summary>Whether a command could go out now; another caller may be quicker.</summary>
    public bool HasRoom
    {
        get
        {
            lock (_gate) return HasRoomNow;
        }
    }

    public static async Task<WireConnection> OpenAsync(string path, UdsTransportOptions options, CancellationToken cancellationToken)
    {
        var connection = new WireConnection(await WireSocket.ConnectAsync(path, options, cancellationToken).ConfigureAwait(false));
        _ = connection.ReadAsync();
        return connection;
    }

    /// <summary>Asks, waiting for room where too much is on its way.</summary>
    /// <exception cref="ConnectionEndedException">Nothing was sent: the connection had ended before.</exception>
    public async ValueTask<WireAnswer> AskAsync(WireCommand command, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> payload, bool isNamed,
        CancellationToken cancellationToken)
    {
        TaskCompletionSource<WireAnswer>? answer;
        while (!TryAsk(command, name.Span, payload.Span, isNamed, out answer))
            await WaitForRoomAsync(cancellationToken).ConfigureAwait(false);
        // Whoever stops waiting leaves its place in the queue: the answer still comes.
        return await answer!.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks, if there is room.</summary>
    /// <param name="command">The command.</param>
    /// <param name="name">A key or topic, with its length before it if <paramref name="isNamed"/>.</param>
    /// <param name="payload">What follows.</param>
    /// <param name="isNamed">Whether the name has its length before it.</param>
    /// <param name="answer">Completes with the answer.</param>
    /// <returns>
    /// <see langword="true"/> if the command was queued; <see langword="false"/> if too much is in flight.
    /// </returns>
    public bool TryAsk(WireCommand command, ReadOnlySpan<byte> name, ReadOnlySpan<byte> payload, bool isNamed,
        out TaskCompletionSource<WireAnswer>? answer)
    {
        lock (_gate)
        {
            answer = null;
            if (_end is not null) throw new ConnectionEndedException(_end);
            if (_asked.Count >= MaxInFlight || (_outgoing.WrittenCount > 0 && _outgoing.WrittenCount + payload.Length > MaxOutgoing))
                return false;
            int named = isNamed ? 2 : 0, bytes = Wire.HeaderBytes + named + name.Length + payload.Length;
            Span<byte> frame = _outgoing.GetSpan(bytes);
            BinaryPrimitives.WriteInt32LittleEndian(frame, bytes - Wire.LengthBytes);
            frame[4] = (byte)command;
            if (isNamed) BinaryPrimitives.WriteUInt16LittleEndian(frame[5..], (ushort)name.Length);
            name.CopyTo(frame[(Wire.HeaderBytes + named)..]);
            payload.CopyTo(frame[(Wire.HeaderBytes + named + name.Length)..]);
            _outgoing.Advance(bytes);
            answer = new TaskCompletionSource<WireAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
            _asked.Enqueue(answer);
            if (_isSending) return true;
            _isSending = true;
        }

        _ = SendAsync();
        return true;
    }

    /// <summary>Completes when something was sent or answered, or the connection has ended.</summary>
    public Task WaitForRoomAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (HasRoomNow) return Task.CompletedTask;
            _progress ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _progress.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Completes when nothing is on its way any more, or the connection has ended.</summary>
    public async Task WhenAnsweredAsync(TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Task progress;
            lock (_gate)
            {
                TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
                if (_asked.Count == 0 || _end is not null || left <= TimeSpan.Zero) return;
                _progress ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                progress = _progress.Task.WaitAsync(left);
            }

            await progress.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => End(new ObjectDisposedException(nameof(WireConnection), "this client was disposed"));

    private bool HasRoomNow => _end is not null || (_asked.Count < MaxInFlight && _outgoing.WrittenCount == 0);

    private async Task SendAsync()
    {
        try
        {
            while (true)
            {
                lock (_gate)
                {
                    if (_outgoing.WrittenCount == 0)
                    {
                        _isSending = false;
                        return;
                    }

                    (_outgoing, _sending) = (_sending, _outgoing);
                    Progress();
                }

                for (ReadOnlyMemory<byte> rest = _sending.WrittenMemory; !rest.IsEmpty;)
                    rest = rest[await _socket.SendAsync(rest, SocketFlags.None).ConfigureAwait(false)..];
                // A large value once should not be paid for ever after.
                if (_sending.Capacity > MaxOutgoing) _sending = new ArrayBufferWriter<byte>();
                else _sending.ResetWrittenCount();
            }
        }
        catch (Exception e)
        {
            // Why the server has closed stands in what is still to be read, if it says so at all.
            if (e is not SocketException) End(e);
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            var frames = new FrameReader(_socket);
            while (await frames.NextAsync(CancellationToken.None).ConfigureAwait(false))
            {
                var answer = new WireAnswer(frames.Status, frames.Payload.ToArray());
                TaskCompletionSource<WireAnswer>? asked;
                lock (_gate)
                {
                    if (!_asked.TryDequeue(out asked)) throw new InvalidDataException("the server answered something that was not asked");
                    Progress();
                }

                asked.TrySetResult(answer);
            }

            End(new IOException("the server has closed the connection"));
        }
        catch (Exception e)
        {
            End(e is SocketException ? new IOException($"the connection to the server was lost: {e.Message}", e) : e);
        }
    }

    private void Progress()
    {
        _progress?.TrySetResult();
        _progress = null;
    }

    private void End(Exception reason)
    {
        TaskCompletionSource<WireAnswer>[] asked;
        lock (_gate)
        {
            if (_end is not null) return;
            _end = reason;
            asked = [.. _asked];
            _asked.Clear();
            Progress();
        }

        _socket.Dispose();
        // What the server said before it closed is told as it is. All hear the same exception: whoever
        // asked often can tell that it was one loss.
        Exception told = reason is IOException and not ServerRefusedException
            ? new IOException($"{reason.Message}; whether the command was run is not known", reason) : reason;
        foreach (TaskCompletionSource<WireAnswer> waiting in asked) waiting.TrySetException(told);
    }
}

/// <summary>A connection had ended before anything was sent on it: another may be tried.</summary>
internal sealed class ConnectionEndedException(Exception reason) : IOException(reason.Message, reason);
