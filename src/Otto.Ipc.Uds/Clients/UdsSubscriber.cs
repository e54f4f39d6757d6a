using System.Net.Sockets;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// A subscriber reads all the time, whether its owner asks or not, into a queue of its own: it is never found too slow by the server, and a
// slow owner loses the oldest, counted, here. A lost connection is made again; what was published meanwhile
// nobody can count, so the owner is told.

/// <summary>The subscribing end of a topic on the server of sockets.</summary>
internal sealed class UdsSubscriber : MessageSubscriber
{
    private readonly SharedClient _shared;
    private readonly byte[] _pattern;
    private readonly Lock _gate = new();
    private readonly Queue<Arrived> _waiting = new();
    private readonly CancellationTokenSource _disposing = new();
    private EventConnection _connection;
    private TaskCompletionSource? _arrival, _fence;
    // What was lost before the oldest that waits, before the next that comes, and in all.
    private long _lostAtHead, _lostAtTail, _lost, _bytes;
    private Exception? _gap;
    private int _disposed, _busy;

    private UdsSubscriber(SharedClient shared, byte[] pattern, EventConnection connection)
    {
        _shared = shared;
        _pattern = pattern;
        _connection = connection;
        _ = ReadAsync();
    }

    public override long Lost
    {
        get
        {
            lock (_gate) return _lost;
        }
    }

    public static async Task<UdsSubscriber> OpenAsync(SharedClient shared, ChannelName topic, CancellationToken cancellationToken)
    {
        byte[] pattern = UdsClient.Pattern(topic.Value);
        return new UdsSubscriber(shared, pattern,
            await EventConnection.OpenAsync(shared.Client, pattern, Interests.Messages, cancellationToken).ConfigureAwait(false));
    }

    public override bool TryReceive(out TopicFrame message)
    {
        Enter();
        try
        {
            lock (_gate)
            {
                message = default;
                if (_gap is null)
                {
                    if (!_waiting.TryDequeue(out Arrived next)) return false;
                    if (next.Message is { } bytes)
                    {
                        _bytes -= bytes.Length;
                        message = new TopicFrame(bytes, _lostAtHead + next.Lost);
                        _lostAtHead = 0;
                        return true;
                    }

                    _gap = next.Gap!;
                }

                throw new SubscriberDisconnectedException(
                    $"{_gap.Message}; messages published before the next connection may be lost", _gap);
            }
        }
        finally
        {
            Exit();
        }
    }

    public override long ResumeFrom(StartPosition startAt)
    {
        Enter();
        try
        {
            // What was published before this is passed over, also where it is still on its way.
            if (startAt == StartPosition.Now) Fence();
            lock (_gate)
            {
                _gap = null;
                if (startAt != StartPosition.Now) return 0;
                int unread = _waiting.Count(arrived => arrived.Message is not null);
                long passed = unread + _lostAtHead + _lostAtTail + _waiting.Sum(arrived => arrived.Lost);
                _lost += unread;
                _waiting.Clear();
                _bytes = _lostAtHead = _lostAtTail = 0;
                return passed;
            }
        }
        finally
        {
            Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposing.Token);
        if (timeout != Timeout.InfiniteTimeSpan) stop.CancelAfter(timeout);
        Enter();
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            Task arrival = Arrival();
            if (!arrival.IsCompleted) arrival.Wait(stop.Token);
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

    public override async ValueTask WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposing.Token);
        Enter();
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Arrival().WaitAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException(nameof(UdsSubscriber), "this subscriber was disposed");
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
        lock (_gate) _connection.Dispose();
        _shared.Release();
    }

    /// <summary>Waits until every event that the server sent before now has arrived.</summary>
    private void Fence()
    {
        Task passed;
        EventConnection connection;
        lock (_gate)
        {
            _fence ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            passed = _fence.Task;
            connection = _connection;
        }

        try
        {
            connection.AskAsync(WireCommand.Ping, [], _disposing.Token).GetAwaiter().GetResult();
            passed.Wait(_disposing.Token);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Without a connection nothing is on its way.
            ObjectDisposedException.ThrowIf(_disposed != 0, this);
        }
    }

    private async Task ReadAsync()
    {
        while (_disposed == 0)
        {
            try
            {
                if (!await _connection.NextAsync(_disposing.Token).ConfigureAwait(false))
                    throw new IOException("the server has closed the connection");
                lock (_gate)
                {
                    if (_connection.IsAnswer(out _)) PassFence();
                    else Take(_connection.Event());
                }
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
            {
                if (_disposed != 0 || !await JoinAnewAsync(e).ConfigureAwait(false)) return;
            }
        }
    }

    /// <summary>Reports the gap to the owner, and retries until there is a connection again.</summary>
    private async Task<bool> JoinAnewAsync(Exception reason)
    {
        lock (_gate)
        {
            _connection.Dispose();
            PassFence();
            Arrive(new Arrived(null, 0, reason));
        }

        while (_disposed == 0)
        {
            try
            {
                EventConnection connection =
                    await EventConnection.OpenAsync(_shared.Client, _pattern, Interests.Messages, _disposing.Token).ConfigureAwait(false);
                lock (_gate)
                {
                    _connection = connection;
                    if (_disposed != 0) connection.Dispose();
                }

                return true;
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or UnauthorizedAccessException)
            {
                if (_disposed == 0) await Task.Delay(WireSocket.Pause).ConfigureAwait(false);
            }
        }

        return false;
    }

    private void Take(WireEvent news)
    {
        if (news.Kind == EventKind.Lost)
        {
            _lostAtTail += news.Lost;
            _lost += news.Lost;
            return;
        }

        byte[] message = news.Value.ToArray();
        _bytes += message.Length;
        Arrive(new Arrived(message, _lostAtTail, null));
        _lostAtTail = 0;
        while (_waiting.Count > 1
            && (_waiting.Count > _shared.Client.Options.SubscriberMessages || _bytes > _shared.Client.Options.SubscriberBytes))
            LoseOldest();
    }

    private void LoseOldest()
    {
        Arrived oldest = _waiting.Dequeue();
        _gap ??= oldest.Gap;
        if (oldest.Message is null) return;
        _bytes -= oldest.Message.Length;
        _lostAtHead += oldest.Lost + 1;
        _lost++;
    }

    private void Arrive(Arrived arrived)
    {
        _waiting.Enqueue(arrived);
        _arrival?.TrySetResult();
        _arrival = null;
    }

    private Task Arrival()
    {
        lock (_gate)
        {
            if (_waiting.Count > 0 || _gap is not null) return Task.CompletedTask;
            _arrival ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _arrival.Task;
        }
    }

    private void PassFence()
    {
        _fence?.TrySetResult();
        _fence = null;
    }

    private void Enter()
    {
        if (Interlocked.Exchange(ref _busy, 1) != 0)
            throw new InvalidOperationException("this subscriber is in use: it serves one thread at a time");
        if (_disposed == 0) return;
        Exit();
        throw new ObjectDisposedException(nameof(UdsSubscriber), "this subscriber was disposed");
    }

    private void Exit() => Volatile.Write(ref _busy, 0);

    /// <summary>A message with the number of messages lost before it, or a gap of unknown size.</summary>
    private readonly record struct Arrived(byte[]? Message, long Lost, Exception? Gap);
}
