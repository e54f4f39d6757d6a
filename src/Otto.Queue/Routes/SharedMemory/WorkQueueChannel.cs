using System.Text;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// A work queue of a transport as a channel for tasks. Everything here is at hand, so nothing waits.

internal sealed class WorkQueueChannel(WorkQueue queue, TopicEventPublisher? publisher = null, TopicEventSubscriber? subscriber = null,
    Func<WorkQueue>? reopen = null, TimeSpan? resultRetention = null)
    : TaskChannel, IHoldingChannel, ICancelableChannel, IEventChannel, IResultChannel, IDeadLetterChannel, ISelectiveChannel
{
    /// <summary>How long results are kept where nothing else is said.</summary>
    private static readonly TimeSpan DefaultResultRetention = TimeSpan.FromMinutes(10);

    private readonly TimeSpan _resultRetention = resultRetention ?? DefaultResultRetention;
    private readonly RemovedQueues _removed = new(resultRetention ?? DefaultResultRetention);
    private readonly Lock _reopening = new();
    private IReadOnlyCollection<ulong> _subjects = [];
    private bool _mustCollect;

    /// <summary>The queue that carries the tasks, for inspection.</summary>
    internal WorkQueue Queue => queue;

    public override int MaxMessageBytes => queue.MaxMessageBytes;

    public override int OtherWorkers => queue.OtherConsumers;

    public override WorkQueueCounts LastCounts => queue.GetCounts();

    public override long Capacity => queue.Capacity;

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
        => new(Send(message, options, hold: false, out _));

    public SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions options, out WorkLease lease) =>
        Send(message, options, hold: true, out lease);

    public override bool CanSendNow => true;

    public override bool TrySendNow(ReadOnlySpan<byte> message)
    {
        WorkQueue used = queue;
        try
        {
            return used.TrySend(message);
        }
        catch (SegmentRemovedException) when (reopen is not null)
        {
            Reopen(used);
            return queue.TrySend(message);
        }
    }

    private SendResult Send(ReadOnlySpan<byte> message, in SendOptions options, bool hold, out WorkLease lease)
    {
        WorkQueue used = queue;
        try
        {
            return Send(used, message, options, hold, out lease);
        }
        catch (SegmentRemovedException) when (reopen is not null)
        {
            Reopen(used);
            return Send(queue, message, options, hold, out lease);
        }
    }

    private SendResult Send(WorkQueue used, ReadOnlySpan<byte> message, in SendOptions options, bool hold, out WorkLease lease)
    {
        lease = default;
        if (used is LabelledWorkQueue labelled) return LabelledSender.Send(labelled, message, options, _resultRetention, hold, out lease);
        if (options.Key is not null)
            throw new NotSupportedException($"queue '{used.Name}' has no index of its messages, so it cannot check whether a key is taken");
        bool sent = hold ? used.TrySendAndLease(message, out lease)
            : options.Delay > TimeSpan.Zero ? used.TrySend(message, options.Delay, out _) : used.TrySend(message);
        return sent ? SendOutcome.Sent : SendOutcome.Full;
    }

    /// <summary>Opens the queue again, whose segment was deleted while it was open here.</summary>
    private void Reopen(WorkQueue removed)
    {
        lock (_reopening)
        {
            if (!ReferenceEquals(queue, removed)) return; // Another thread was quicker.
            WorkQueue opened;
            try
            {
                opened = reopen!();
            }
            catch (UnauthorizedAccessException e)
            {
                throw new IOException(
                    $"queue '{removed.Name}' was deleted while it was open here and cannot be made again: {e.Message}", e);
            }

            if (removed.IsConsumer)
            {
                (opened as LabelledWorkQueue)?.SetSubjects(_subjects);
                opened.SetConsumer(true);
            }

            opened.DefaultHandling = removed.DefaultHandling;
            Volatile.Write(ref queue, opened);
            _removed.Add(removed, () => queue);
        }
    }

    public ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        // A worker may take it between our look and our cancel: then it is found again, held.
        WorkId work = default;
        for (int tries = 0; tries < 100; tries++)
        {
            if (!TryFind(id, out work, out bool held)) return new(CancelOutcome.NotFound);
            // Its holder may have returned it since, or may die: the note is kept with the message.
            if (held && !((LabelledWorkQueue)queue).RequestCancel(work)) return new(CancelOutcome.Requested);
            if (queue.Cancel(work)) return new(CancelOutcome.Removed);
            if (held) return new(CancelOutcome.Requested);
        }

        // It is being sent by a process that does not go on: the note is there when it does.
        (queue as LabelledWorkQueue)?.RequestCancel(work);
        return new(CancelOutcome.Requested);
    }

    // By its label, or, where it was sent without one because nothing was asked for it, by what it says.
    private bool TryFind(TaskId id, out WorkId work, out bool held)
    {
        (work, held) = (default, false);
        if (queue is not LabelledWorkQueue labelled) return false;
        MessageState state = labelled.Find(id.Label, out work);
        held = state == MessageState.Held;
        if (state == MessageState.Unknown) return labelled.TryFind(m => EnvelopeReader.IdOf(m) == id, out work, out held);
        return state is MessageState.Waiting or MessageState.Held;
    }

    public bool CarriesEvents => publisher is not null;

    public ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received) => subscriber?.ListenAsync(received) ?? default;

    public ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null) => publisher?.PublishAsync(message) ?? default;

    public bool KeepsResults => queue is LabelledWorkQueue;

    // From when there is hardly any room until results have little of it: while there is room, results stay where any process can ask for
    // them.
    public bool MustCollect
    {
        get
        {
            if (queue is not LabelledWorkQueue labelled) return false;
            if (labelled.KeptResults <= labelled.Capacity / 4) return _mustCollect = false;
            return _mustCollect || (_mustCollect = labelled.GetCounts().Free <= labelled.Capacity / 64);
        }
    }

    public ValueTask<ResultLookup> FindResultAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (queue is not LabelledWorkQueue labelled) return default;
        MessageState state = labelled.TryTakeResult(id.Label, out byte[] result);
        if (state == MessageState.Unknown && !_removed.IsEmpty) state = _removed.TryTakeResult(id.Label, out result);
        return new(state switch
        {
            MessageState.Done => new ResultLookup(result),
            MessageState.Cancelled => new ResultLookup(TaskEvent.Result(id, ResultStatus.Cancelled, 0, [])),
            MessageState.Dead => new ResultLookup(TaskEvent.Result(id, ResultStatus.Failed, 0, result.Length > 0 ? result : "given up"u8)),
            MessageState.Unknown => new ResultLookup(null, IsGone: _removed.IsEmpty),
            _ => default,
        });
    }

    public override ValueTask WaitToSendAsync(CancellationToken cancellationToken) => queue.WaitToSendAsync(cancellationToken);

    public ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason)
    {
        // By its id, so that who waits for its result finds it.
        MessageLabels labels =
            LabelledSender.LabelsOf(EnvelopeReader.IdOf(message), EnvelopeReader.KeyOf(message), message, _resultRetention);
        WorkLease lease;
        if (queue is LabelledWorkQueue labelled
            ? labelled.TrySendAndLease(message, labels, null, out lease).Status != LabelledSendStatus.Sent
            : !queue.TrySendAndLease(message, out lease)) return new(false);
        return new(lease.DeadLetter(reason));
    }

    public override void StartConsuming(ITaskConsumer consumer)
    {
        queue.DefaultHandling = consumer.RunsSeveral ? WorkHandling.BesideOthers : WorkHandling.Alone;
        queue.SetConsumer(true);
    }

    public override void StopConsuming() => queue.SetConsumer(false);

    public void SetHandled(IReadOnlyCollection<string> names)
    {
        _subjects = [.. names.Select(KeyedMessage.HashOf)];
        (queue as LabelledWorkQueue)?.SetSubjects(_subjects);
    }

    public bool PassOver(in WorkLease lease, ReadOnlySpan<byte> name) =>
        queue is LabelledWorkQueue && lease.PassOver(KeyedMessage.HashOf(name));

    public ValueTask<IReadOnlyList<UnhandledTasks>> GetUnhandledAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, int> names = new(StringComparer.Ordinal);
        (queue as LabelledWorkQueue)?.VisitPassedOver(message =>
        {
            string name = Encoding.UTF8.GetString(EnvelopeReader.NameOf(message));
            names[name] = names.GetValueOrDefault(name) + 1;
            return false;
        });
        return new([.. names.OrderBy(static n => n.Key, StringComparer.Ordinal).Select(static n => new UnhandledTasks(n.Key, n.Value))]);
    }

    public override bool TryLease(out WorkLease lease)
    {
        if (!_removed.IsEmpty && _removed.TryLease(out lease)) return true;
        WorkQueue used = queue;
        try
        {
            return TryLease(used, out lease);
        }
        catch (SegmentRemovedException) when (reopen is not null)
        {
            Reopen(used);
            return TryLease(queue, out lease);
        }
    }

    private static bool TryLease(WorkQueue used, out WorkLease lease)
    {
        while (used.TryLease(out lease))
        {
            if (used is not LabelledWorkQueue labelled || !RecurringEnvelope.IsKeyed(lease.Payload.Span)
                || ScheduleReplacement.TryBegin(labelled, lease)) return true;
        }

        return false;
    }

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken) =>
        _removed.IsEmpty ? queue.WaitToLeaseAsync(cancellationToken) : RemovedQueues.WaitBesideAsync(queue, cancellationToken);

    public override ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken) => new(queue.GetCounts());

    public ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken) =>
        new(queue.GetDeadLetters(max));

    public ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.RequeueDeadLetter(letter));

    public ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken) => new(queue.DeleteDeadLetter(letter));

    public override async ValueTask DisposeAsync()
    {
        if (subscriber is not null) await subscriber.DisposeAsync().ConfigureAwait(false);
        if (publisher is not null) await publisher.DisposeAsync().ConfigureAwait(false);
        _removed.MoveAll(queue);
        _removed.Dispose();
        await queue.DisposeAsync().ConfigureAwait(false);
    }
}
