using System.Buffers;
using System.Text;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// A publisher hands its messages to the connection that all ends of its transport share, and does not wait for the server's answer to each.
// When the connection was lost, what was on its way may not have been heard by anybody: the next call says so.

/// <summary>The publishing end of a topic on the server of sockets.</summary>
internal sealed class UdsPublisher : MessagePublisher
{
    private readonly SharedClient _shared;
    private readonly byte[] _topic;
    private readonly CancellationTokenSource _disposing = new();
    private byte[]? _room;
    private long _reservations, _open;
    private int _reserved, _busy, _disposed;
    private Exception? _failure, _told;

    public UdsPublisher(SharedClient shared, ChannelName topic, int maxMessageBytes)
    {
        _shared = shared;
        _topic = Encoding.UTF8.GetBytes(topic.Value);
        MaxMessageBytes = maxMessageBytes;
    }

    public override int MaxMessageBytes { get; }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        Enter();
        try
        {
            CheckSize(maxBytes);
            ThrowFailure();
            slot = default;
            if (_shared.Client.Connection is not { IsAlive: true, HasRoom: true })
            {
                Exit();
                return false;
            }
        }
        catch
        {
            Exit();
            throw;
        }

        // The end stays entered until commit or abort.
        _room = ArrayPool<byte>.Shared.Rent(maxBytes);
        _reserved = maxBytes;
        _open = ++_reservations;
        slot = new WriteSlot(this, new SlotToken(_open, 0), _room.AsSpan(0, maxBytes));
        return true;
    }

    public override bool TryPublish(ReadOnlySpan<byte> message)
    {
        Enter();
        try
        {
            CheckSize(message.Length);
            ThrowFailure();
            return Send(message);
        }
        finally
        {
            Exit();
        }
    }

    public override bool WaitToPublish(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposing.Token);
        if (timeout != Timeout.InfiniteTimeSpan) stop.CancelAfter(timeout);
        Enter();
        try
        {
            if (_shared.Client.Connection is { IsAlive: true, HasRoom: true }) return true;
            WaitAsync(stop.Token).GetAwaiter().GetResult();
            return true;
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_disposed != 0, this);
            return false;
        }
        finally
        {
            Exit();
        }
    }

    public override async ValueTask WaitToPublishAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposing.Token);
        Enter();
        try
        {
            await WaitAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException(nameof(UdsPublisher), "this publisher was disposed");
        }
        finally
        {
            Exit();
        }
    }

    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _disposing.Cancel();
        _shared.Release();
    }

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        try
        {
            if (bytes > _reserved)
                throw new ArgumentOutOfRangeException(nameof(bytes),
                    $"commit of {bytes:N0} bytes exceeds the {_reserved:N0} that were reserved");
            // There was room when it was reserved; where the connection has no more of it, this one waits for it.
            while (!Send(_room.AsSpan(0, bytes))) WaitAsync(CancellationToken.None).GetAwaiter().GetResult();
        }
        finally
        {
            Close();
        }

        return true;
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (_open == token.Word) Close();
    }

    private void Close()
    {
        _open = 0;
        ArrayPool<byte>.Shared.Return(_room!);
        _room = null;
        Exit();
    }

    private bool Send(ReadOnlySpan<byte> message)
    {
        if (_shared.Client.Connection is not { } connection) return false;
        try
        {
            if (!connection.TryAsk(WireCommand.Publish, _topic, message, isNamed: true, out TaskCompletionSource<WireAnswer>? answer))
                return false;
            answer!.Task.ContinueWith(Heed, this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
            return true;
        }
        catch (ConnectionEndedException)
        {
            // Nothing of it was sent; whoever waits for room makes another connection.
            return false;
        }
    }

    private static void Heed(Task<WireAnswer> answer, object? publisher)
    {
        Exception? failure = answer.IsCompletedSuccessfully
            ? answer.Result.Status == WireStatus.Error ? WireSocket.Error(answer.Result.Payload) : null : answer.Exception!.InnerException;
        if (failure is not null) Interlocked.CompareExchange(ref ((UdsPublisher)publisher!)._failure, failure, null);
    }

    private async Task WaitAsync(CancellationToken stop)
    {
        WireConnection connection = await _shared.Client.ConnectAsync(stop).ConfigureAwait(false);
        await connection.WaitForRoomAsync(stop).ConfigureAwait(false);
    }

    private void ThrowFailure()
    {
        if (Volatile.Read(ref _failure) is null) return;
        Exception failure = Interlocked.Exchange(ref _failure, null)!;
        // Many messages of one lost connection are told once.
        if (_disposed != 0 || ReferenceEquals(failure, _told)) return;
        _told = failure;
        throw new IOException($"messages that were published before may have reached no subscriber: {failure.Message}", failure);
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes),
                $"message of {bytes:N0} bytes exceeds the server's limit of {MaxMessageBytes:N0}; raise MaxValueBytes there");
    }

    private void Enter()
    {
        if (Interlocked.Exchange(ref _busy, 1) != 0)
            throw new InvalidOperationException(
                "this publisher is in use: it serves one thread at a time, and a reserved slot must be disposed before the next call");
        if (_disposed == 0) return;
        Exit();
        throw new ObjectDisposedException(nameof(UdsPublisher), "this publisher was disposed");
    }

    private void Exit() => Volatile.Write(ref _busy, 0);
}
