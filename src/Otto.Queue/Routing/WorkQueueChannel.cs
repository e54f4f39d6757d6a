using Otto.Ipc;

namespace Otto.Queue;

// A work queue of a transport as a channel for tasks. Everything here is at hand, so nothing waits, and nothing is allocated.

internal sealed class WorkQueueChannel(IWorkQueue queue) : TaskChannel
{
    /// <summary>The queue beneath, for those who look at it.</summary>
    internal IWorkQueue Queue => queue;

    public override int MaxMessageBytes => queue.MaxMessageBytes;

    public override int OtherWorkers => queue.OtherWorkers;

    public override WorkQueueCounts LastCounts => queue.GetCounts();

    public override long Capacity => queue.Capacity;

    public override bool CanKeep => true;

    public override ValueTask<SendAnswer> SendAsync(ReadOnlySpan<byte> message, in SendTerms terms, CancellationToken cancellation)
    {
        bool sent = terms.Delay > TimeSpan.Zero ? queue.TrySend(message, terms.Delay, out _) : queue.TrySend(message);
        return new ValueTask<SendAnswer>(sent ? SendOutcome.Sent : SendOutcome.Full);
    }

    public override SendAnswer Keep(ReadOnlySpan<byte> message, in SendTerms terms, out WorkLease lease)
        => queue.TryKeep(message, out lease) ? SendOutcome.Sent : SendOutcome.Full;

    public override ValueTask WaitToSendAsync(CancellationToken cancellation) => queue.WaitToSendAsync(cancellation);

    public override ValueTask<bool> BuryAsync(ReadOnlySpan<byte> message, string reason)
        => new(queue.TryKeep(message, out WorkLease lease) && lease.DeadLetter(reason));

    public override void StartTaking(ITaskTaker taker) => queue.TakesWork = true;

    public override void StopTaking() => queue.TakesWork = false;

    public override bool TryLease(out WorkLease lease) => queue.TryLease(out lease);

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellation) => queue.WaitToLeaseAsync(cancellation);

    public override ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellation) => new(queue.GetCounts());

    public override ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellation) => new(queue.GetDeadLetters(max));

    public override ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellation) => new(queue.Requeue(letter));

    public override ValueTask<bool> DropAsync(DeadLetterId letter, CancellationToken cancellation) => new(queue.Drop(letter));

    public override ValueTask DisposeAsync() => queue.DisposeAsync();
}
