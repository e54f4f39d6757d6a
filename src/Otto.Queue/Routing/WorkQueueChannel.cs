using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// A work queue of a transport as a channel for tasks. Everything here is at hand, so nothing waits, and nothing is allocated.

internal sealed class WorkQueueChannel(WorkQueue queue, TopicEventTransport? notices = null) : TaskChannel
{
    // How long a keyed task waits for others that look for theirs; each takes microseconds.
    private static readonly TimeSpan TurnPatience = TimeSpan.FromSeconds(2);

    /// <summary>The queue beneath, for those who look at it.</summary>
    internal WorkQueue Queue => queue;

    public override int MaxMessageBytes => queue.MaxMessageBytes;

    public override int OtherWorkers => queue.OtherConsumers;

    public override WorkQueueCounts LastCounts => queue.GetCounts();

    public override long Capacity => queue.Capacity;

    public override bool CanSendAndLease => true;

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions terms, CancellationToken cancellationToken)
    {
        if (terms.Key is { } key) return new ValueTask<SendResult>(InTurn(key, message, terms, keep: false, out _));
        bool sent = terms.Delay > TimeSpan.Zero ? queue.TrySend(message, terms.Delay, out _) : queue.TrySend(message);
        return new ValueTask<SendResult>(sent ? SendOutcome.Sent : SendOutcome.Full);
    }

    /// <summary>Sends, if there is room now, and nothing else is asked for.</summary>
    internal bool TrySend(ReadOnlySpan<byte> message) => queue.TrySend(message);

    public override SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions terms, out WorkLease lease)
    {
        if (terms.Key is { } key) return InTurn(key, message, terms, keep: true, out lease);
        return queue.TrySendAndLease(message, out lease) ? SendOutcome.Sent : SendOutcome.Full;
    }

    // The segment itself is the register of keys: a key is taken while a message that says so is ready, delayed or held.
    private SendResult InTurn(string key, ReadOnlySpan<byte> message, in SendOptions terms, bool keep, out WorkLease lease)
    {
        lease = default;
        if (queue is not SearchableWorkQueue searchable) throw new NotSupportedException($"queue '{queue.Name}' cannot be searched, so it cannot tell whether a key is taken");
        if (!searchable.TryEnterExclusive(TurnPatience, out IDisposable? turn)) throw new IOException($"another process has been looking for a key of queue '{queue.Name}' for {TurnPatience.TotalSeconds} s; is it stopped?");
        using (turn)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(key);
            TaskId existing = default;
            if (searchable.TryFind(m =>
                {
                    if (!EnvelopeHeader.KeyOf(m).SequenceEqual(bytes)) return false;
                    existing = EnvelopeHeader.IdOf(m);
                    return true;
                }, out _, out _) && existing != terms.Id)
                return new SendResult(SendOutcome.Duplicate, existing);
            bool sent = keep ? queue.TrySendAndLease(message, out lease) : queue.TrySend(message, terms.Delay, out _);
            return sent ? SendOutcome.Sent : SendOutcome.Full;
        }
    }

    public override ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (queue is not SearchableWorkQueue searchable) return new(CancelOutcome.NotFound);
        // A worker may take it between our look and our cancel: then it is found again, held.
        for (int tries = 0; tries < 100; tries++)
        {
            if (!searchable.TryFind(m => EnvelopeHeader.IdOf(m) == id, out WorkId work, out bool held)) return new(CancelOutcome.NotFound);
            if (held) return new(CancelOutcome.Requested);
            if (queue.Cancel(work)) return new(CancelOutcome.Removed);
        }

        return new(CancelOutcome.Requested);
    }

    public override bool CarriesEvents => notices is not null;

    public override ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> heard) => notices?.ListenAsync(heard) ?? default;

    public override ValueTask NotifyAsync(ReadOnlyMemory<byte> notice, TaskId? resultOf = null) => notices?.TellAsync(notice) ?? default;

    // Results are not kept here, but a task that was given up is: by a worker whose word was missed, or by the queue itself, which tells nobody.
    public override ValueTask<ReadOnlyMemory<byte>?> FindResultAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (queue is not SearchableWorkQueue searchable || !searchable.TryFindDead(m => EnvelopeHeader.IdOf(m) == id, out int attempts, out string reason)) return default;
        return new(TaskEvent.Result(id, ResultStatus.Failed, 0, Encoding.UTF8.GetBytes(reason.Length > 0 ? reason : $"attempt {attempts}")));
    }

    public override ValueTask WaitToSendAsync(CancellationToken cancellationToken) => queue.WaitToSendAsync(cancellationToken);

    public override ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason)
        => new(queue.TrySendAndLease(message, out WorkLease lease) && lease.DeadLetter(reason));

    public override void StartConsuming(ITaskConsumer taker) => queue.SetConsumer(true);

    public override void StopConsuming() => queue.SetConsumer(false);

    public override bool TryLease(out WorkLease lease) => queue.TryLease(out lease);

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken) => queue.WaitToLeaseAsync(cancellationToken);

    public override ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken) => new(queue.GetCounts());

    public override ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken) => new(queue.GetDeadLetters(max));

    public override ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.RequeueDeadLetter(letter));

    public override ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.DeleteDeadLetter(letter));

    public override async ValueTask DisposeAsync()
    {
        if (notices is not null) await notices.DisposeAsync().ConfigureAwait(false);
        await queue.DisposeAsync().ConfigureAwait(false);
    }
}
