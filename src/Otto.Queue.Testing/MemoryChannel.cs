using Otto.Ipc;

namespace Otto.Queue.Testing;

// One queue in memory. A worker gets a message only when the test gives it out, so that what runs when is the test's decision.

internal sealed class MemoryChannel(MemoryRoute route, string queue, IReadOnlyList<TaskRegistration> tasks)
    : TaskChannel, ICancelableChannel, IDeadLetterChannel, IWorkLeaseOwner
{
    private const int Most = 100_000;

    private readonly Dictionary<long, MemoryMessage> _messages = [];
    private TaskCompletionSource _offered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource? _ended;
    private ITaskConsumer? _taker;
    private bool _settled;

    internal string Queue => queue;

    /// <summary>What has not ended; call it with the lock held.</summary>
    internal IEnumerable<MemoryMessage> Alive => _messages.Values.Where(static m => m.DeadBecause is null);

    public override int MaxMessageBytes => 64 << 20;

    public override int OtherWorkers => 0;

    public override WorkQueueCounts LastCounts
    {
        get
        {
            lock (route.Lock)
            {
                int leased = Alive.Count(static m => m.Leased), delayed = Alive.Count(m => !m.Leased && m.Due > route.Clock.Passed);
                return new WorkQueueCounts(Alive.Count() - leased - delayed, leased, _messages.Count - Alive.Count(),
                    Most - _messages.Count, TimeSpan.Zero) { Delayed = delayed };
            }
        }
    }

    public override long Capacity => Most;

    /// <summary>Whether a worker here would run it.</summary>
    internal bool Takes(MemoryMessage message) => _taker is not null && (!message.Readable || Handled(message));

    internal bool Handled(MemoryMessage message) => tasks.Any(t => t.HandledHere && t.Name == message.Name);

    /// <summary>Gives a message to the worker.</summary>
    /// <returns>Ends when the attempt has, and the worker has come back for more.</returns>
    internal Task RunAsync(MemoryMessage message)
    {
        TaskCompletionSource offered;
        Task ended;
        lock (route.Lock)
        {
            message.Offered = true;
            _settled = false;
            ended = (_ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            offered = _offered;
        }

        offered.TrySetResult();
        return ended;
    }

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        MemoryMessage sent = new(0, message.ToArray(), options.Key, route.Clock.Passed + options.Delay);
        // Before it is there: a task that cannot make the trip is the producer's mistake.
        if (route.RoundTrip) tasks.Single(t => t.Name == sent.Name).Reread(sent.Bytes[sent.PayloadAt..]);
        lock (route.Lock)
        {
            MemoryMessage? other = options.Key is { } key ? Alive.LastOrDefault(m => m.Key == key) : null;
            if (other is not null && !Replaces(sent, other)) return new(new SendResult(SendOutcome.Duplicate, other.Id));
            if (_messages.Count >= Most) return new(SendOutcome.Full);
            if (other is not null) EndSchedule(other, sent);
            Add(sent);
            return new(other is null ? SendOutcome.Sent : SendOutcome.Replaced);
        }
    }

    private static bool Replaces(MemoryMessage added, MemoryMessage kept) =>
        RecurringEnvelope.Recurs(kept.Bytes) && RecurringEnvelope.Recurs(added.Bytes)
        && (kept.CancelRequested || !RecurringEnvelope.IsSame(kept.Bytes, added.Bytes));

    private void EndSchedule(MemoryMessage old, MemoryMessage added)
    {
        if (!old.Offered)
        {
            _messages.Remove(old.Number);
            return;
        }

        old.CancelRequested = true;
        TimeSpan next = route.Clock.Passed + RecurringEnvelope.Interval(added.Bytes);
        if (added.Due < next) added.Due = next;
    }

    private void Add(MemoryMessage message)
    {
        message.Number = route.NextNumber();
        _messages.Add(message.Number, message);
    }

    public override ValueTask WaitToSendAsync(CancellationToken cancellationToken) => default;

    public ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason)
    {
        lock (route.Lock) Add(new MemoryMessage(0, message.ToArray(), null, route.Clock.Passed) { DeadBecause = reason, Attempts = 1 });
        return new(true);
    }

    public override void StartConsuming(ITaskConsumer consumer) => _taker = consumer;

    public override void StopConsuming() => _taker = null;

    public override bool TryLease(out WorkLease lease)
    {
        lock (route.Lock)
        {
            if (Alive.FirstOrDefault(static m => m is { Offered: true, Leased: false }) is { } message)
            {
                message.Leased = true;
                message.Attempts++;
                lease = new WorkLease(this, new SlotToken(message.Number, message.Attempts), message.Bytes, message.Attempts);
                return true;
            }

            // The one worker is back for more: it has dealt with whatever its last task left behind.
            if (_settled) _ended?.TrySetResult();
            lease = default;
            return false;
        }
    }

    public override async ValueTask WaitToLeaseAsync(CancellationToken cancellationToken)
    {
        Task offered;
        lock (route.Lock)
        {
            if (_offered.Task.IsCompleted && !Alive.Any(static m => m is { Offered: true, Leased: false }))
                _offered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            offered = _offered.Task;
        }

        await offered.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public bool Complete(in SlotToken token) => End(token, message => _messages.Remove(message.Number));

    public bool Abandon(in SlotToken token, bool countAttempt, TimeSpan delay) =>
        End(token, message => PutBack(message, countAttempt ? message.Attempts : message.Attempts - 1, delay));

    public bool Repeat(in SlotToken token, TimeSpan delay) => End(token, message =>
    {
        if (message.CancelRequested) _messages.Remove(message.Number);
        else PutBack(message, attempts: 0, delay);
    });

    public bool IsCancelRequested(in SlotToken token)
    {
        lock (route.Lock) return _messages.TryGetValue(token.Word, out MemoryMessage? message) && message.CancelRequested;
    }

    public bool DeadLetter(in SlotToken token, string reason) => End(token, message => message.DeadBecause = reason);

    // Bytes of their own, which nobody uses again.
    public PayloadRetention Retain(in SlotToken token, ReadOnlyMemory<byte> payload) => new(payload);

    private void PutBack(MemoryMessage message, int attempts, TimeSpan delay)
    {
        message.Attempts = attempts;
        message.Due = route.Clock.Passed + delay;
        _messages.Remove(message.Number);
        Add(message); // Behind those that wait already.
    }

    private bool End(in SlotToken token, Action<MemoryMessage> how)
    {
        lock (route.Lock)
        {
            if (!_messages.TryGetValue(token.Word, out MemoryMessage? message) || !message.Leased || message.Attempts != token.Index)
                return false;
            message.Leased = message.Offered = false;
            how(message);
            _settled = true;
            return true;
        }
    }

    public ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        lock (route.Lock)
        {
            if (Alive.FirstOrDefault(m => m.Id == id) is not { } message) return new(CancelOutcome.NotFound);
            if (message.Offered)
            {
                message.CancelRequested = true;
                return new(CancelOutcome.Requested);
            }

            _messages.Remove(message.Number);
            return new(CancelOutcome.Removed);
        }
    }

    public override ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken) => new(LastCounts);

    public ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken)
    {
        lock (route.Lock)
            return new([.. _messages.Values.Where(static m => m.DeadBecause is not null).OrderBy(static m => m.Number).Take(max).Select(
                static m => new DeadLetter(m.Letter, m.Bytes, m.Attempts, m.DeadBecause!))]);
    }

    public ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken)
    {
        lock (route.Lock)
        {
            if (!_messages.TryGetValue(letter.ToToken().Word, out MemoryMessage? message) || message.DeadBecause is null) return new(false);
            message.DeadBecause = null;
            message.Attempts = 0;
            message.Due = route.Clock.Passed;
            return new(true);
        }
    }

    public ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken)
    {
        lock (route.Lock) return new(
            _messages.TryGetValue(letter.ToToken().Word, out MemoryMessage? message) && message.DeadBecause is not null
            && _messages.Remove(letter.ToToken().Word));
    }

    public override ValueTask DisposeAsync() => default;
}
