using System.Buffers.Binary;
using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue;

// Queues whose segments were deleted while they were open here, as systemd-logind and cleaners of temporary files do. Nobody else can open
// them, so what waits in them is worked off here, or sent on to the queue that took their place.

internal sealed class RemovedQueues(TimeSpan resultRetention) : IDisposable
{
    private const int PollMilliseconds = 50;

    // Others notice within two seconds, and send into the old segment until then.
    private const int LeastMilliseconds = 10_000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private volatile WorkQueue[] _queues = [];
    private long _keptUntil, _nextPoll;

    /// <summary>Whether no such queue may hold anything.</summary>
    internal bool IsEmpty => _queues.Length == 0;

    /// <summary>Keeps a queue until it is empty.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="target">The queue that took its place.</param>
    internal void Add(WorkQueue queue, Func<WorkQueue> target)
    {
        Volatile.Write(ref _keptUntil, Environment.TickCount64 + LeastMilliseconds);
        lock (_gate) _queues = [.. _queues, queue];
        if (!queue.IsConsumer) _ = Task.Run(() => MoveAllAsync(queue, target));
    }

    /// <summary>Leases what waits in one of them.</summary>
    internal bool TryLease(out WorkLease lease)
    {
        lease = default;
        // An empty one answers with an exception, so it is not asked for each lease.
        if (Environment.TickCount64 < Volatile.Read(ref _nextPoll)) return false;
        foreach (WorkQueue queue in _queues)
        {
            try
            {
                if (queue.TryLease(out lease)) return true;
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                DropIfEmpty(queue);
            }
        }

        Volatile.Write(ref _nextPoll, Environment.TickCount64 + PollMilliseconds);
        return false;
    }

    /// <summary>Takes a result out of one of them.</summary>
    internal MessageState TryTakeResult(UInt128 id, out byte[] result)
    {
        result = [];
        foreach (WorkQueue queue in _queues)
        {
            try
            {
                if (queue is LabelledWorkQueue labelled && labelled.TryTakeResult(id, out result) is var state
                    && state != MessageState.Unknown) return state;
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // Damaged, or closed meanwhile.
            }
        }

        return MessageState.Unknown;
    }

    /// <summary>Waits for work in a queue, and comes back now and then to look into the removed ones.</summary>
    internal static async ValueTask WaitBesideAsync(WorkQueue queue, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        either.CancelAfter(Pause);
        try
        {
            await queue.WaitToLeaseAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The pause is over.
        }
    }

    /// <summary>Sends what waits in them to the queue that took their place, at once.</summary>
    internal void MoveAll(WorkQueue target)
    {
        foreach (WorkQueue queue in _queues) TryMove(queue, target);
    }

    public void Dispose()
    {
        _stop.Cancel();
        lock (_gate)
        {
            foreach (WorkQueue queue in _queues) queue.Dispose();
            _queues = [];
        }

        _stop.Dispose();
    }

    // This process has no workers for the queue. Those that have the segment open work it off; without them it is sent on.
    private async Task MoveAllAsync(WorkQueue queue, Func<WorkQueue> target)
    {
        CancellationToken stop = _stop.Token;
        try
        {
            do
            {
                if (queue.OtherConsumers == 0) TryMove(queue, target());
                if (DropIfEmpty(queue)) return;
                await Task.Delay(Pause, stop).ConfigureAwait(false);
            }
            while (true);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or IOException)
        {
            // Closed meanwhile, or damaged: the rest goes with the segment.
        }
    }

    private void TryMove(WorkQueue queue, WorkQueue target)
    {
        try
        {
            while (queue.TryLease(out WorkLease lease))
            {
                byte[] message = lease.Payload.ToArray();
                if (EnvelopeReader.Read(message, out EnvelopeHeader header, out _, out _) is null)
                {
                    int attempts = Math.Min(header.AttemptsBefore + lease.Attempt - 1, ushort.MaxValue);
                    BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(EnvelopeLayout.AttemptsAt), (ushort)attempts);
                }

                // Sent before it is completed: a death in between leaves a copy in a segment that nobody can open.
                bool sent = false;
                try
                {
                    sent = target is LabelledWorkQueue labelled
                        ? LabelledSender.Send(labelled, message, new SendOptions(header.Id), resultRetention, hold: false, out _).Outcome
                            == SendOutcome.Sent
                        : target.TrySend(message);
                }
                finally
                {
                    if (sent) lease.Complete();
                    else lease.Abandon(countAttempt: false);
                }

                if (!sent) return;
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or ArgumentException)
        {
            // Nothing is left in it, or the other one cannot take it.
        }
    }

    /// <summary>Closes a queue that holds nothing any more.</summary>
    private bool DropIfEmpty(WorkQueue queue)
    {
        if (Environment.TickCount64 < Volatile.Read(ref _keptUntil)) return false;
        try
        {
            WorkQueueCounts counts = queue.GetCounts();
            if (counts.Ready + counts.Delayed + counts.Leased + counts.Results + counts.PassedOver > 0) return false;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // It can tell nothing any more.
        }

        lock (_gate)
        {
            if (!_queues.Contains(queue)) return true;
            _queues = [.. _queues.Where(other => other != queue)];
        }

        queue.Dispose();
        return true;
    }
}
