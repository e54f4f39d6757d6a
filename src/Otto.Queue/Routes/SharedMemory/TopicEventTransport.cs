using Otto.Ipc;

namespace Otto.Queue;

// Events over a topic of the queue's name: opened by the first who publishes or listens, so that a queue without events has none.

internal sealed class TopicEventTransport(ITopicTransport transport, ChannelName queue) : IAsyncDisposable
{
    private readonly SemaphoreSlim _publishing = new(1, 1);
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private MessagePublisher? _publisher;
    private MessageSubscriber? _subscriber;
    private Task _listening = Task.CompletedTask;

    internal async ValueTask PublishAsync(ReadOnlyMemory<byte> message)
    {
        await _publishing.WaitAsync(_stop.Token).ConfigureAwait(false); // A publisher is for one thread at a time.
        try
        {
            _publisher ??= await transport.OpenPublisherAsync(queue, _stop.Token).ConfigureAwait(false);
            if (message.Length <= _publisher.MaxMessageBytes) await _publisher.PublishAsync(message, _stop.Token).ConfigureAwait(false);
            else PublishLarge(_publisher, message.Span);
        }
        finally
        {
            _publishing.Release();
        }
    }

    private void PublishLarge(MessagePublisher publisher, ReadOnlySpan<byte> message)
    {
        if (!publisher.TryLoan(message.Length, out Loan loan))
            throw new IOException($"topic '{queue}' has no block to lend for an event of {message.Length:N0} bytes");
        using (loan)
        {
            message.CopyTo(loan.Span);
            publisher.TryPublish(loan, message.Length); // Nobody can hold this topic's publishers.
        }
    }

    internal async ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received)
    {
        await _opening.WaitAsync(_stop.Token).ConfigureAwait(false);
        try
        {
            if (_subscriber is not null) return;
            _subscriber = await transport.OpenSubscriberAsync(queue, StartPosition.Now, _stop.Token).ConfigureAwait(false);
            _listening = Task.Run(() => ReceiveAsync(_subscriber, received));
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task ReceiveAsync(MessageSubscriber subscriber, Action<ReadOnlyMemory<byte>> received)
    {
        try
        {
            while (true)
            {
                await subscriber.WaitToReceiveAsync(_stop.Token).ConfigureAwait(false);
                while (TryReceive(subscriber, out byte[] bytes)) received(bytes);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or IOException)
        {
            // Closed, or the topic is gone: events are a help, and nothing rests on them.
        }
    }

    private static bool TryReceive(MessageSubscriber subscriber, out byte[] bytes)
    {
        bytes = [];
        if (!subscriber.TryReceive(out TopicFrame message)) return false;
        bytes = message.Bytes.ToArray();
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        if (_publisher is { } publisher) await publisher.DisposeAsync().ConfigureAwait(false);
        if (_subscriber is { } subscriber) await subscriber.DisposeAsync().ConfigureAwait(false);
        _publishing.Dispose();
        _opening.Dispose();
        _stop.Dispose();
    }
}
