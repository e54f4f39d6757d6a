namespace Otto.Queue;

// Where a queue is in its life, for all its parts: they ask, and only QueueRuntime moves it on.

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

    /// <summary>Fires when a stop begins.</summary>
    internal CancellationToken Stopping => _stopping.Token;

    /// <summary>Fires when a stop has run out of time; running handlers see it.</summary>
    internal CancellationToken Abort => _abort.Token;

    internal void MoveTo(QueueState state) => _state = (int)state;

    internal void CancelStopping() => _stopping.Cancel();

    internal void CancelAbort() => _abort.Cancel();
}
