using System.Text;
using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// A work queue of a transport as a channel for tasks. Everything here is at hand, so nothing waits, and nothing is allocated.

internal sealed class WorkQueueChannel(WorkQueue queue, TopicEventPublisher? publisher = null, TopicEventSubscriber? subscriber = null)
    : TaskChannel, IHoldingChannel, ICancelableChannel, IEventChannel, IResultChannel, IDeadLetterChannel
{
    // How long a keyed task waits for others that look for theirs; each takes microseconds.
    private static readonly TimeSpan TurnTimeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan RunsPause = TimeSpan.FromMilliseconds(100);

    /// <summary>The queue that carries the tasks, for inspection.</summary>
    internal WorkQueue Queue => queue;

    public override int MaxMessageBytes => queue.MaxMessageBytes;

    public override int OtherWorkers => queue.OtherConsumers;

    public override WorkQueueCounts LastCounts => queue.GetCounts();

    public override long Capacity => queue.Capacity;

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        if (options.Key is { } key) return new ValueTask<SendResult>(InTurn(key, message, options, hold: false, out _));
        bool sent = options.Delay > TimeSpan.Zero ? queue.TrySend(message, options.Delay, out _) : queue.TrySend(message);
        return new ValueTask<SendResult>(sent ? SendOutcome.Sent : SendOutcome.Full);
    }

    public override bool CanSendNow => true;

    public override bool TrySendNow(ReadOnlySpan<byte> message) => queue.TrySend(message);

    public SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions options, out WorkLease lease)
    {
        if (options.Key is { } key) return InTurn(key, message, options, hold: true, out lease);
        return queue.TrySendAndLease(message, out lease) ? SendOutcome.Sent : SendOutcome.Full;
    }

    // The segment itself is the register of keys: a key is taken while a message that says so is ready, delayed or held.
    private SendResult InTurn(string key, ReadOnlySpan<byte> message, in SendOptions options, bool hold, out WorkLease lease)
    {
        lease = default;
        if (queue is not SearchableWorkQueue searchable)
            throw new NotSupportedException($"queue '{queue.Name}' cannot be searched, so it cannot check whether a key is taken");
        if (!searchable.TryEnterExclusive(TurnTimeout, out IDisposable? turn))
            throw new IOException(
                $"another process has been searching queue '{queue.Name}' for a key for {TurnTimeout.TotalSeconds} s; "
                + "it may be stopped: continue or end it, then try again");
        using (turn)
        {
            if (KeyedMessage.Find(searchable, Encoding.UTF8.GetBytes(key)) is { } existing && existing.Id != options.Id)
                return existing.IsReplacedBy(message) ? Replace(searchable, existing, message, options, hold, out lease)
                    : new SendResult(SendOutcome.Duplicate, existing.Id);
            bool sent = hold ? queue.TrySendAndLease(message, out lease) : queue.TrySend(message, options.Delay, out _);
            return sent ? SendOutcome.Sent : SendOutcome.Full;
        }
    }

    // First the new one, held, so that a full queue changes nothing; then the old one is taken back, or ends with the run that it is in.
    private SendResult Replace(SearchableWorkQueue searchable, KeyedMessage old, ReadOnlySpan<byte> message, in SendOptions options,
        bool hold, out WorkLease lease)
    {
        lease = default;
        if (!searchable.RequestCancel(old.Work) && old.IsHeld) return new SendResult(SendOutcome.Duplicate, old.Id);
        if (!queue.TrySendAndLease(message, out WorkLease added)) return SendOutcome.Full;
        bool runs = !queue.Cancel(old.Work) && old.IsHeld;
        if (hold && !runs)
        {
            lease = added;
            return SendOutcome.Replaced;
        }

        TimeSpan interval = RecurringEnvelope.Interval(message);
        added.Abandon(countAttempt: false, runs && options.Delay < interval ? interval : options.Delay);
        return SendOutcome.Replaced;
    }

    public ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (queue is not SearchableWorkQueue searchable) return new(CancelOutcome.NotFound);
        // A worker may take it between our look and our cancel: then it is found again, held.
        for (int tries = 0; tries < 100; tries++)
        {
            if (!searchable.TryFind(m => EnvelopeReader.IdOf(m) == id, out WorkId work, out bool held)) return new(CancelOutcome.NotFound);
            // Its holder may have returned it since, or may die: the note is kept with the message.
            if (held && !searchable.RequestCancel(work)) return new(CancelOutcome.Requested);
            if (queue.Cancel(work)) return new(CancelOutcome.Removed);
            if (held) return new(CancelOutcome.Requested);
        }

        return new(CancelOutcome.Requested);
    }

    public bool CarriesEvents => publisher is not null;

    public ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received) => subscriber?.ListenAsync(received) ?? default;

    public ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null) => publisher?.PublishAsync(message) ?? default;

    // Results are not kept here, but a task that was given up is: by a worker whose word was missed, or by the queue itself, which tells
    // nobody.
    public ValueTask<ReadOnlyMemory<byte>?> FindResultAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (queue is not SearchableWorkQueue searchable
            || !searchable.TryFindDead(m => EnvelopeReader.IdOf(m) == id, out int attempts, out string reason)) return default;
        return new(TaskEvent.Result(id, ResultStatus.Failed, 0,
            Encoding.UTF8.GetBytes(reason.Length > 0 ? reason : $"attempt {attempts}")));
    }

    public override ValueTask WaitToSendAsync(CancellationToken cancellationToken) => queue.WaitToSendAsync(cancellationToken);

    public ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason)
        => new(queue.TrySendAndLease(message, out WorkLease lease) && lease.DeadLetter(reason));

    public override void StartConsuming(ITaskConsumer consumer)
    {
        queue.DefaultHandling = consumer.RunsSeveral ? WorkHandling.BesideOthers : WorkHandling.Alone;
        queue.SetConsumer(true);
    }

    public override void StopConsuming() => queue.SetConsumer(false);

    public override bool TryLease(out WorkLease lease)
    {
        while (queue.TryLease(out lease))
        {
            if (!RecurringEnvelope.IsKeyed(lease.Payload.Span) || queue is not SearchableWorkQueue searchable
                || !KeyedMessage.IsHeldByOther(searchable, lease.Payload.Span)) return true;
            // The schedule that this one replaced is in its last run.
            lease.Abandon(countAttempt: false, RunsPause);
        }

        return false;
    }

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken) => queue.WaitToLeaseAsync(cancellationToken);

    public override ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken) => new(queue.GetCounts());

    public ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken) =>
        new(queue.GetDeadLetters(max));

    public ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.RequeueDeadLetter(letter));

    public ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.DeleteDeadLetter(letter));

    public override async ValueTask DisposeAsync()
    {
        if (subscriber is not null) await subscriber.DisposeAsync().ConfigureAwait(false);
        if (publisher is not null) await publisher.DisposeAsync().ConfigureAwait(false);
        await queue.DisposeAsync().ConfigureAwait(false);
    }
}
