using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue;

// Publishes a queue's events on a topic of its name. Opened for the first event, so that a queue without events has no topic.

internal sealed class TopicEventPublisher(ITopicTransport transport, ChannelName queue) : IAsyncDisposable
{
    private readonly SemaphoreSlim _publishing = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private MessagePublisher? _publisher;

    internal async ValueTask PublishAsync(ReadOnlyMemory<byte> message)
    {
        await _publishing.WaitAsync(_stop.Token).ConfigureAwait(false); // A publisher is for one thread at a time.
        try
        {
            try
            {
                await PublishHereAsync(message).ConfigureAwait(false);
            }
            catch (SegmentRemovedException) when (_publisher is not null)
            {
                // The topic was deleted while it was open here: its subscribers are in another one by now.
                await _publisher.DisposeAsync().ConfigureAwait(false);
                _publisher = null;
                await PublishHereAsync(message).ConfigureAwait(false);
            }
        }
        finally
        {
            _publishing.Release();
        }
    }

    private async ValueTask PublishHereAsync(ReadOnlyMemory<byte> message)
    {
        _publisher ??= await transport.OpenPublisherAsync(queue, _stop.Token).ConfigureAwait(false);
        if (message.Length <= _publisher.MaxMessageBytes) await _publisher.PublishAsync(message, _stop.Token).ConfigureAwait(false);
        else PublishLarge(_publisher, message.Span);
    }

    private void PublishLarge(MessagePublisher publisher, ReadOnlySpan<byte> message)
    {
        if (!publisher.TryLoan(message.Length, out Loan loan))
            throw new IOException($"topic '{queue}' has no free loan for an event of {message.Length:N0} bytes; events are larger or "
                + $"more frequent than subscribers read them");
        using (loan)
        {
            message.CopyTo(loan.Span);
            publisher.TryPublish(loan, message.Length); // No subscriber can block this topic's publishers.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_publisher is { } publisher) await publisher.DisposeAsync().ConfigureAwait(false);
        _publishing.Dispose();
        _stop.Dispose();
    }
}
