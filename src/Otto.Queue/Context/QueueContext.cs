namespace Otto.Queue;

// What the parts of one queue share: its name and life, the ids of its tasks, its clock, and where to report. Only QueueRuntime moves the
// life on; all other parts ask.

/// <summary>One queue's name, life, ids, clock and reports.</summary>
internal sealed record QueueContext(string Name, QueueLifetime Lifetime, TaskIdSource Ids, QueueClock Clock, QueueTelemetry Telemetry,
    QueueLog Log)
{
    internal KeyValuePair<string, object?> NameTag { get; } = new("messaging.destination.name", Name);
}

// Not disposed: handlers that would not end still hold the tokens, and without a timer there is nothing to free.
#pragma warning disable CA1001
internal sealed class QueueLifetime
#pragma warning restore CA1001
{
    private readonly CancellationTokenSource _abort = new();
    private readonly CancellationTokenSource _stopping = new();
    private volatile int _state;

    internal QueueState State => (QueueState)_state;

    /// <summary>Whether a stop has begun.</summary>
    internal bool IsStopping => _state >= (int)QueueState.Draining;

    /// <summary>Whether the services were disposed, so that no handler can run any more.</summary>
    internal bool ServicesGone { get; private set; }

    /// <summary>Notes that the services were disposed.</summary>
    /// <returns>Whether this was the first note.</returns>
    internal bool NoteServicesGone()
    {
        bool first = !ServicesGone;
        ServicesGone = true;
        return first;
    }

    /// <summary>Fires when a stop begins.</summary>
    internal CancellationToken Stopping => _stopping.Token;

    /// <summary>Fires when a stop has run out of time; running handlers see it.</summary>
    internal CancellationToken Abort => _abort.Token;

    internal void MoveTo(QueueState state) => _state = (int)state;

    internal void CancelStopping() => _stopping.Cancel();

    internal void CancelAbort() => _abort.Cancel();
}

/// <summary>The life of a queue, in order: it only ever moves down this list.</summary>
internal enum QueueState
{
    Created,
    Running,
    Draining,
    Stopped,
}

/// <summary>The ids of the tasks of one <see cref="TaskQueue"/>: a random half, and a count.</summary>
internal sealed class TaskIdSource
{
    private ulong _number;

    internal ulong Producer { get; } = TaskId.NewProducer();

    /// <summary>The low half of the next id.</summary>
    internal ulong NextNumber() => Interlocked.Increment(ref _number);

    internal TaskId At(ulong number) => new(Producer, number);
}
