using Otto.Ipc;

namespace Otto.Queue;

// Notices over a topic of the queue's name: opened by the first who tells or listens, so that a queue without notices has none.

internal sealed class TopicEventTransport(ITopicTransport transport, ChannelName queue) : IAsyncDisposable
{
    private readonly SemaphoreSlim _publishing = new(1, 1);
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private MessagePublisher? _publisher;
    private MessageSubscriber? _subscriber;
    private Task _listening = Task.CompletedTask;

    internal async ValueTask TellAsync(ReadOnlyMemory<byte> notice)
    {
        await _publishing.WaitAsync(_stop.Token).ConfigureAwait(false); // A publisher is for one thread at a time.
        try
        {
            _publisher ??= await transport.OpenPublisherAsync(queue, _stop.Token).ConfigureAwait(false);
            if (notice.Length <= _publisher.MaxMessageBytes) await _publisher.PublishAsync(notice, _stop.Token).ConfigureAwait(false);
            else PublishLarge(_publisher, notice.Span);
        }
        finally
        {
            _publishing.Release();
        }
    }

    private void PublishLarge(MessagePublisher publisher, ReadOnlySpan<byte> notice)
    {
        if (!publisher.TryLoan(notice.Length, out Loan loan)) throw new IOException($"topic '{queue}' has no block to lend for a notice of {notice.Length:N0} bytes");
        using (loan)
        {
            notice.CopyTo(loan.Span);
            publisher.TryPublish(loan, notice.Length); // Nobody can hold this topic's publishers.
        }
    }

    internal async ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> heard)
    {
        await _opening.WaitAsync(_stop.Token).ConfigureAwait(false);
        try
        {
            if (_subscriber is not null) return;
            _subscriber = await transport.OpenSubscriberAsync(queue, StartPosition.Now, _stop.Token).ConfigureAwait(false);
            _listening = Task.Run(() => HearAsync(_subscriber, heard));
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task HearAsync(MessageSubscriber subscriber, Action<ReadOnlyMemory<byte>> heard)
    {
        try
        {
            while (true)
            {
                await subscriber.WaitToReceiveAsync(_stop.Token).ConfigureAwait(false);
                while (TryHear(subscriber, out byte[] notice)) heard(notice);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or IOException)
        {
            // Closed, or the topic is gone: notices are a help, and nothing rests on them.
        }
    }

    private static bool TryHear(MessageSubscriber subscriber, out byte[] notice)
    {
        notice = [];
        if (!subscriber.TryReceive(out TopicFrame message)) return false;
        notice = message.Bytes.ToArray();
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
