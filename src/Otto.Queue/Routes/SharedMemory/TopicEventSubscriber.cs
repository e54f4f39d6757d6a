using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue;

// Receives a queue's events from the topic of its name. Opened when the first caller listens, so that a queue without events has no topic.

internal sealed class TopicEventSubscriber(ITopicTransport transport, ChannelName queue) : IAsyncDisposable
{
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private MessageSubscriber? _subscriber;
    private Task _listening = Task.CompletedTask;

    internal async ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received)
    {
        await _opening.WaitAsync(_stop.Token).ConfigureAwait(false);
        try
        {
            if (_subscriber is not null) return;
            _subscriber = await transport.OpenSubscriberAsync(queue, StartPosition.Now, _stop.Token).ConfigureAwait(false);
            _listening = Task.Run(() => ReceiveAsync(received));
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task ReceiveAsync(Action<ReadOnlyMemory<byte>> received)
    {
        try
        {
            while (true)
            {
                try
                {
                    MessageSubscriber subscriber = _subscriber!;
                    await subscriber.WaitToReceiveAsync(_stop.Token).ConfigureAwait(false);
                    while (TryReceive(subscriber, out byte[] bytes, out bool lost))
                    {
                        if (lost) received(ReadOnlyMemory<byte>.Empty);
                        received(bytes);
                    }
                }
                catch (SegmentRemovedException)
                {
                    // The topic was deleted while it was open here: what is published from now on goes to another one.
                    await _subscriber!.DisposeAsync().ConfigureAwait(false);
                    _subscriber = await transport.OpenSubscriberAsync(queue, StartPosition.Now, _stop.Token).ConfigureAwait(false);
                    received(ReadOnlyMemory<byte>.Empty);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or IOException)
        {
            // Closed, or the topic is gone: no task depends on an event.
        }
    }

    private static bool TryReceive(MessageSubscriber subscriber, out byte[] bytes, out bool lost)
    {
        bytes = [];
        lost = false;
        if (!subscriber.TryReceive(out TopicFrame message)) return false;
        bytes = message.Bytes.ToArray();
        lost = message.Lost > 0;
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        if (_subscriber is { } subscriber) await subscriber.DisposeAsync().ConfigureAwait(false);
        _opening.Dispose();
        _stop.Dispose();
    }
}
