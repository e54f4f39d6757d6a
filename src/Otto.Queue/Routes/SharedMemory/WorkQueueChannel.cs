using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// A work queue of a transport as a channel for tasks. Everything here is at hand, so nothing waits, and nothing is allocated.

internal sealed class WorkQueueChannel(WorkQueue queue, TopicEventPublisher? publisher = null, TopicEventSubscriber? subscriber = null,
    TimeSpan? resultRetention = null)
    : TaskChannel, IHoldingChannel, ICancelableChannel, IEventChannel, IResultChannel, IDeadLetterChannel
{
    /// <summary>How long results are kept where nothing else is said.</summary>
    internal static readonly TimeSpan DefaultResultRetention = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan RunsPause = TimeSpan.FromMilliseconds(100);

    private readonly LabelledWorkQueue? _labelled = queue as LabelledWorkQueue;
    private readonly TimeSpan _resultRetention = resultRetention ?? DefaultResultRetention;

    /// <summary>The queue that carries the tasks, for inspection.</summary>
    internal WorkQueue Queue => queue;

    public override int MaxMessageBytes => queue.MaxMessageBytes;

    public override int OtherWorkers => queue.OtherConsumers;

    public override WorkQueueCounts LastCounts => queue.GetCounts();

    public override long Capacity => queue.Capacity;

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        if (_labelled is not null) return new ValueTask<SendResult>(Send(_labelled, message, options, hold: false, out _));
        if (options.Key is not null) throw NoKeys();
        bool sent = options.Delay > TimeSpan.Zero ? queue.TrySend(message, options.Delay, out _) : queue.TrySend(message);
        return new ValueTask<SendResult>(sent ? SendOutcome.Sent : SendOutcome.Full);
    }

    public override bool CanSendNow => true;

    public override bool TrySendNow(ReadOnlySpan<byte> message) => queue.TrySend(message);

    public SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions options, out WorkLease lease)
    {
        if (_labelled is not null) return Send(_labelled, message, options, hold: true, out lease);
        if (options.Key is not null) throw NoKeys();
        return queue.TrySendAndLease(message, out lease) ? SendOutcome.Sent : SendOutcome.Full;
    }

    private NotSupportedException NoKeys() =>
        new($"queue '{queue.Name}' has no index of its messages, so it cannot check whether a key is taken");

    // The segment itself is the register of keys: a key is taken while a message that has it is ready, delayed or held.
    private SendResult Send(LabelledWorkQueue labelled, ReadOnlySpan<byte> message, in SendOptions options, bool hold, out WorkLease lease)
    {
        lease = default;
        // A task that comes from another route has its key already, and is not refused for it.
        byte[] key = options.Key is null ? EnvelopeReader.KeyOf(message).ToArray() : Encoding.UTF8.GetBytes(options.Key);
        bool refusable = options.Key is not null;
        MessageLabels labels = new()
        {
            Id = new UInt128(options.Id.High, options.Id.Low),
            Key = key.Length == 0 ? 0 : KeyedMessage.HashOf(key),
            KeepResult = EnvelopeReader.WantsResult(message) ? _resultRetention : TimeSpan.Zero,
        };
        if (labels.Key == 0) return Outcome(TrySend(labelled, message, labels, options.Delay, null, hold, out lease));
        while (true)
        {
            LabelledSendResult result = TrySend(labelled, message, labels, options.Delay,
                (m, isCancelRequested) => refusable && KeyedMessage.HasKey(m, isCancelRequested, key), hold, out lease);
            if (result.Status != LabelledSendStatus.KeyTaken) return Outcome(result);
            // None where the other one has ended meanwhile.
            if (KeyedMessage.Find(labelled, key) is not { } existing) continue;
            if (!existing.IsReplacedBy(message)) return new SendResult(SendOutcome.Duplicate, existing.Id);
            if (Replace(labelled, existing, message, labels, key, options.Delay, hold, out lease) is { } replaced) return replaced;
        }
    }

    private static LabelledSendResult TrySend(LabelledWorkQueue labelled, ReadOnlySpan<byte> message, in MessageLabels labels, TimeSpan delay,
        KeyMatch? hasKey, bool hold, out WorkLease lease)
    {
        lease = default;
        return hold ? labelled.TrySendAndLease(message, labels, hasKey, out lease) : labelled.TrySend(message, labels, delay, hasKey);
    }

    private static SendOutcome Outcome(in LabelledSendResult result) =>
        result.Status == LabelledSendStatus.Sent ? SendOutcome.Sent : SendOutcome.Full;

    // The old one stops keeping others out; then comes the new one, held, so that a full queue changes nothing; then the old one is taken
    // back, or ends with the run that it is in.
    private SendResult? Replace(LabelledWorkQueue labelled, KeyedMessage old, ReadOnlySpan<byte> message, in MessageLabels labels, byte[] key,
        TimeSpan delay, bool hold, out WorkLease lease)
    {
        lease = default;
        if (!labelled.RequestCancel(old.Work)) return null; // It has ended meanwhile.
        LabelledSendResult result = labelled.TrySendAndLease(message, labels,
            (m, isCancelRequested) => KeyedMessage.HasKey(m, isCancelRequested, key), out WorkLease added);
        if (result.Status == LabelledSendStatus.KeyTaken) return null; // Another replaced it meanwhile.
        if (result.Status == LabelledSendStatus.Full)
        {
            labelled.WithdrawCancelRequest(old.Work);
            return SendOutcome.Full;
        }

        bool runs = !queue.Cancel(old.Work) && old.IsHeld;
        if (hold && !runs)
        {
            lease = added;
            return SendOutcome.Replaced;
        }

        TimeSpan interval = RecurringEnvelope.Interval(message);
        added.Abandon(countAttempt: false, runs && delay < interval ? interval : delay);
        return SendOutcome.Replaced;
    }

    public ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        // A worker may take it between our look and our cancel: then it is found again, held.
        for (int tries = 0; tries < 100; tries++)
        {
            if (!TryFind(id, out WorkId work, out bool held)) return new(CancelOutcome.NotFound);
            // Its holder may have returned it since, or may die: the note is kept with the message.
            if (held && !_labelled!.RequestCancel(work)) return new(CancelOutcome.Requested);
            if (queue.Cancel(work)) return new(CancelOutcome.Removed);
            if (held) return new(CancelOutcome.Requested);
        }

        return new(CancelOutcome.Requested);
    }

    // By its label, or, where it was sent without one because nothing was asked for it, by what it says.
    private bool TryFind(TaskId id, out WorkId work, out bool held)
    {
        (work, held) = (default, false);
        if (_labelled is null) return false;
        MessageState state = _labelled.Find(new UInt128(id.High, id.Low), out work);
        held = state == MessageState.Held;
        if (state == MessageState.Unknown) return _labelled.TryFind(m => EnvelopeReader.IdOf(m) == id, out work, out held);
        return state is MessageState.Waiting or MessageState.Held;
    }

    public bool CarriesEvents => publisher is not null;

    public ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received) => subscriber?.ListenAsync(received) ?? default;

    public ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null) => publisher?.PublishAsync(message) ?? default;

    public bool KeepsResults => _labelled is not null;

    public bool MustCollect => _labelled is not null && queue.GetCounts().Results > queue.Capacity / 4;

    public ValueTask<ResultLookup> FindResultAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (_labelled is null) return default;
        return new(_labelled.TryTakeResult(new UInt128(id.High, id.Low), out byte[] result) switch
        {
            MessageState.Done => new ResultLookup(result),
            MessageState.Cancelled => new ResultLookup(TaskEvent.Result(id, ResultStatus.Cancelled, 0, [])),
            MessageState.Dead => new ResultLookup(TaskEvent.Result(id, ResultStatus.Failed, 0, result.Length > 0 ? result : "given up"u8)),
            MessageState.Unknown => new ResultLookup(null, IsGone: true),
            _ => default,
        });
    }

    public override ValueTask WaitToSendAsync(CancellationToken cancellationToken) => queue.WaitToSendAsync(cancellationToken);

    public ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason)
    {
        // By its id, so that who waits for its result finds it.
        MessageLabels labels = new() { Id = IdOf(message) };
        WorkLease lease;
        if (_labelled is null ? !queue.TrySendAndLease(message, out lease)
            : _labelled.TrySendAndLease(message, labels, null, out lease).Status != LabelledSendStatus.Sent) return new(false);
        return new(lease.DeadLetter(reason));
    }

    private static UInt128 IdOf(ReadOnlySpan<byte> message) => EnvelopeReader.IdOf(message) is var id ? new UInt128(id.High, id.Low) : 0;

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
            if (_labelled is null || !RecurringEnvelope.IsKeyed(lease.Payload.Span)
                || !KeyedMessage.IsHeldByOther(_labelled, lease.Payload.Span)) return true;
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
