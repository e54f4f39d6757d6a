using Otto.Ipc;

namespace Otto.Queue;

// One queue on one route beyond this process, and what is passed to it and back. Shared memory answers at once, a server after a round
// trip. What may take a round trip returns a ValueTask. What is asked for each task is answered from what is known in this process.

/// <summary>A queue as one route carries it: tasks go in as envelopes (<c>docs/envelope.md</c>) and come out as
/// leases.</summary>
/// <remarks>Used by any number of threads at once. Closing waits for what was acknowledged to arrive.</remarks>
public abstract class TaskChannel : IAsyncDisposable
{
    /// <summary>The largest envelope in bytes.</summary>
    public abstract int MaxMessageBytes { get; }

    /// <summary>How many live workers other than this process's are known on this route. Never blocks; may be some
    /// seconds behind.</summary>
    public abstract int OtherWorkers { get; }

    /// <summary>Why nothing can be sent or taken now, such as a lost connection; <see langword="null"/> while all is
    /// well. Never blocks.</summary>
    public virtual string? Status => null;

    /// <summary>A problem of the queue on this route that was found when it was opened, for the log;
    /// <see langword="null"/> if there is none.</summary>
    public string? Warning { get; init; }

    /// <summary>Called by <see cref="Warn"/>.</summary>
    internal Action<string>? Warned { get; set; }

    /// <summary>Reports a problem of the queue on this route that was found while it is open, for the log.</summary>
    /// <param name="warning">The problem, and what to do about it.</param>
    protected void Warn(string warning) => Warned?.Invoke(warning);

    /// <summary>What was found on the route that does not stop it, and may cost tasks. Never blocks.</summary>
    public virtual IReadOnlyList<RouteWarning> Warnings => [];

    /// <summary>Whether answers come over the network: workers then leave the thread pool to them more often.</summary>
    public virtual bool UsesNetwork => false;

    /// <summary>What the queue holds, as last known. Never blocks; on a route over the network some seconds
    /// old.</summary>
    public abstract WorkQueueCounts LastCounts { get; }

    /// <summary>How many tasks the queue holds at most, ready, leased, delayed and dead together.</summary>
    public abstract long Capacity { get; }

    /// <summary>Sends an envelope. A state such as full is an answer, not an exception.</summary>
    /// <param name="message">The envelope; copied before this returns, even where the answer comes later.</param>
    /// <param name="options">What goes with it.</param>
    /// <param name="cancellationToken">Stops waiting for the answer; a task that was accepted stays accepted.</param>
    /// <returns>What became of it. <see cref="SendOutcome.Sent"/> means that the promise of
    /// <see cref="ITaskRoute.Durability"/> holds from now on.</returns>
    public abstract ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options,
        CancellationToken cancellationToken);

    /// <summary>Whether <see cref="TrySendNow"/> can send.</summary>
    public virtual bool CanSendNow => false;

    /// <summary>Sends an envelope with nothing else asked for, if there is room and the answer is known at
    /// once.</summary>
    /// <param name="message">The envelope; copied before this returns.</param>
    /// <returns><see langword="true"/> if it was sent; otherwise, <see langword="false"/>, and <see cref="SendAsync"/>
    /// may send it.</returns>
    public virtual bool TrySendNow(ReadOnlySpan<byte> message) => false;

    /// <summary>Waits until a message may be sent: there is room, and the route is in order. Another sender may still
    /// be quicker.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Completes when it is worth another try.</returns>
    public abstract ValueTask WaitToSendAsync(CancellationToken cancellationToken);

    /// <summary>Announces this process as a worker, and begins to take.</summary>
    /// <param name="consumer">Whom it takes for.</param>
    public abstract void StartConsuming(ITaskConsumer consumer);

    /// <summary>Stops receiving, and announces that to producers elsewhere. What is leased stays leased; what was taken
    /// and not
    /// yet leased goes back.</summary>
    public abstract void StopConsuming();

    /// <summary>Takes the next message, if one is available. Never blocks.</summary>
    /// <param name="lease">The message, held until it is completed, abandoned or put among the dead letters.</param>
    /// <returns><see langword="false"/> if none is; <see cref="WaitToLeaseAsync"/> then fetches or waits.</returns>
    public abstract bool TryLease(out WorkLease lease);

    /// <summary>Waits until a message is available.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a message may be available.</returns>
    /// <exception cref="IOException">The route failed.</exception>
    public abstract ValueTask WaitToLeaseAsync(CancellationToken cancellationToken);

    /// <summary>Counts what the queue holds now.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The counts, exact only while the queue is idle.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public abstract ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken);

    /// <summary>Releases the queue once what was acknowledged has arrived, as far as it can be.</summary>
    /// <returns>Ends when it is closed.</returns>
    public abstract ValueTask DisposeAsync();
}

/// <summary>The workers behind a <see cref="TaskChannel"/>.</summary>
/// <remarks>Called by any thread; must not block.</remarks>
public interface ITaskConsumer
{
    /// <summary>How many tasks could be started now, or within a moment at the pace at which they end: no more are
    /// claimed at a time, and one where a worker asks.</summary>
    int AvailableWorkers { get; }

    /// <summary>Whether this process may run several tasks at the same time, of any of its queues: then the death of
    /// the process proves nothing about one of them.</summary>
    bool RunsSeveral => true;

    /// <summary>Reports that a lease passed to another worker while it was held here. Its handler's token fires,
    /// because the other worker may be running the task.</summary>
    /// <param name="id">The task.</param>
    void OnLeaseLost(TaskId id);
}

/// <summary>What a channel needs to know about a task that it carries.</summary>
/// <param name="Id">The task's id, as in its envelope: a message that is sent again after a lost answer is known by
/// it.</param>
/// <param name="Delay">How long no worker gets it.</param>
/// <param name="Key">Refuses the task while another of this key is pending or running; <see langword="null"/> if there
/// is none.
/// The envelope has it too.</param>
public readonly record struct SendOptions(TaskId Id, TimeSpan Delay = default, string? Key = null);

/// <summary>What became of an envelope.</summary>
public enum SendOutcome
{
    /// <summary>It is in the queue.</summary>
    Sent,

    /// <summary>The queue has no room. Nothing was sent.</summary>
    Full,

    /// <summary>The route cannot be used now. Nothing was sent.</summary>
    Unavailable,

    /// <summary>Another task of the same key is pending or running. Nothing was sent.</summary>
    Duplicate,

    /// <summary>It is in the queue, in the place of a recurring task of the same key.</summary>
    Replaced,
}

/// <summary>What a channel answered.</summary>
/// <param name="Outcome">What became of the envelope.</param>
/// <param name="Existing">With <see cref="SendOutcome.Duplicate"/>: the task that has the key.</param>
public readonly record struct SendResult(SendOutcome Outcome, TaskId Existing = default)
{
    /// <summary>An answer without more words.</summary>
    /// <param name="outcome">What became of the envelope.</param>
    public static implicit operator SendResult(SendOutcome outcome) => new(outcome);

    /// <summary>An answer without more words.</summary>
    /// <param name="outcome">What became of the envelope.</param>
    /// <returns>The answer.</returns>
    public static SendResult FromSendOutcome(SendOutcome outcome) => new(outcome);
}
