using Otto.Ipc;

namespace Otto.Queue;

// One queue on one route beyond this process. Shared memory answers at once, a server after a round trip: so what may take a round trip returns a ValueTask,
// and what is asked for each task (who works there, is a message at hand) is answered from what is known here.

/// <summary>A queue as one route carries it: tasks go in as envelopes (<c>docs/envelope.md</c>) and come out as leases.</summary>
/// <remarks>Used by any number of threads at once. Closing waits for what was acknowledged to arrive.</remarks>
public abstract class TaskChannel : IAsyncDisposable
{
    /// <summary>The largest envelope in bytes.</summary>
    public abstract int MaxMessageBytes { get; }

    /// <summary>How many live workers other than this process's are known on this route. Never blocks; may be some seconds behind.</summary>
    public abstract int OtherWorkers { get; }

    /// <summary>Why nothing can be sent or taken now, such as a lost connection; <see langword="null"/> while all is well. Never blocks.</summary>
    public virtual string? Status => null;

    /// <summary>Whether answers come over the network: workers then leave the thread pool to them more often.</summary>
    public virtual bool UsesNetwork => false;

    /// <summary>What the queue holds, as last known. Never blocks; on a route over the network some seconds old.</summary>
    public abstract WorkQueueCounts LastCounts { get; }

    /// <summary>How many tasks the queue holds at most, ready, leased, delayed and dead together.</summary>
    public abstract long Capacity { get; }

    /// <summary>Sends an envelope. A state such as full is an answer, not an exception.</summary>
    /// <param name="message">The envelope; copied before this returns, even where the answer comes later.</param>
    /// <param name="terms">What goes with it.</param>
    /// <param name="cancellationToken">Stops waiting for the answer; a task that was accepted stays accepted.</param>
    /// <returns>What became of it. <see cref="SendOutcome.Sent"/> means that the promise of <see cref="ITaskRoute.Durability"/> holds from now on.</returns>
    public abstract ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions terms, CancellationToken cancellationToken);

    /// <summary>Stores an envelope that this process will work on itself: held from the start and never ready, unless this process dies.</summary>
    /// <param name="message">The envelope.</param>
    /// <param name="terms">What goes with it; a delay makes no sense here.</param>
    /// <param name="lease">The envelope as a lease.</param>
    /// <returns>What became of it; <see cref="SendOutcome.Unavailable"/> on a route that cannot keep.</returns>
    public virtual SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions terms, out WorkLease lease)
    {
        lease = default;
        return SendOutcome.Unavailable;
    }

    /// <summary>Whether <see cref="TrySendAndLease"/> can keep.</summary>
    public virtual bool CanSendAndLease => false;

    /// <summary>Waits until a message may be sent: there is room, and the route is in order. Another sender may still be quicker.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Completes when it is worth another try.</returns>
    public abstract ValueTask WaitToSendAsync(CancellationToken cancellationToken);

    /// <summary>Puts an envelope among the dead letters without its ever being ready.</summary>
    /// <param name="message">The envelope; copied before this returns.</param>
    /// <param name="reason">Why, for the person who looks.</param>
    /// <returns><see langword="false"/> where there is no room or no way.</returns>
    public abstract ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason);

    /// <summary>Announces this process as a worker, and begins to take.</summary>
    /// <param name="taker">Whom it takes for.</param>
    public abstract void StartConsuming(ITaskConsumer taker);

    /// <summary>Takes no more, and says so to producers elsewhere. What is leased stays leased; what was taken and not yet leased goes back.</summary>
    public abstract void StopConsuming();

    /// <summary>Takes the next message, if one is at hand. Never blocks.</summary>
    /// <param name="lease">The message, held until it is completed, abandoned or put among the dead letters.</param>
    /// <returns><see langword="false"/> where none is; <see cref="WaitToLeaseAsync"/> then fetches or waits.</returns>
    public abstract bool TryLease(out WorkLease lease);

    /// <summary>Waits until a message is at hand.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a look is worth its while.</returns>
    /// <exception cref="IOException">The route is in trouble.</exception>
    public abstract ValueTask WaitToLeaseAsync(CancellationToken cancellationToken);

    /// <summary>Takes a task back that no worker has begun, or finds out that one has.</summary>
    /// <param name="id">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see cref="CancelOutcome.Requested"/> where a worker holds it; it must be told by a notice.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public virtual ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken) => new(CancelOutcome.NotFound);

    /// <summary>Whether notices reach other processes on this route.</summary>
    public virtual bool CarriesEvents => false;

    /// <summary>Hears from now on what others tell with <see cref="NotifyAsync"/>. Further calls do nothing.</summary>
    /// <param name="heard">Called for each notice, by any thread, the bytes valid until it returns; must not block.</param>
    /// <returns>Ends when whatever is told from now on is heard.</returns>
    public virtual ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> heard) => default;

    /// <summary>Tells everybody who listens on this queue. Not kept: who does not listen, or listens too slowly, misses it.</summary>
    /// <param name="notice">The notice.</param>
    /// <param name="resultOf">Where it is a task's result: the task, so that the route may keep it for a while for those who ask later.</param>
    /// <returns>Ends when it was told.</returns>
    /// <exception cref="IOException">The route cannot be reached, or the notice is too large for it.</exception>
    public virtual ValueTask NotifyAsync(ReadOnlyMemory<byte> notice, TaskId? resultOf = null) => default;

    /// <summary>Asks for the notice of a task's result that may have been missed, or, where the route looks there, of its failure from among the dead letters.</summary>
    /// <param name="id">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The notice; <see langword="null"/> where there is none, or the route does not keep them.</returns>
    public virtual ValueTask<ReadOnlyMemory<byte>?> FindResultAsync(TaskId id, CancellationToken cancellationToken) => default;

    /// <summary>Counts what the queue holds now.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The counts, exact only while nobody moves.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public abstract ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken);

    /// <summary>Copies out dead letters.</summary>
    /// <param name="max">The most to return.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The letters, oldest first.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public abstract ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken);

    /// <summary>Makes a dead letter ready again, its attempts forgotten.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public abstract ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken);

    /// <summary>Removes a dead letter for good.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    public abstract ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken);

    /// <summary>Lets go of the queue once what was acknowledged has arrived, as far as it can be.</summary>
    /// <returns>Ends when it is closed.</returns>
    public abstract ValueTask DisposeAsync();

    /// <summary>A channel over a work queue in shared memory, or any other.</summary>
    /// <param name="queue">The queue; disposed with the channel. Keys and cancelling need one that can be searched (<see cref="SearchableWorkQueue"/>).</param>
    /// <param name="notices">Carries notices between processes: cancels, results and progress. <see langword="null"/> for none.</param>
    /// <returns>The channel.</returns>
    public static TaskChannel Over(WorkQueue queue, ITopicTransport? notices = null)
    {
        ArgumentNullException.ThrowIfNull(queue);
        return new WorkQueueChannel(queue, notices is null ? null : new TopicEventTransport(notices, queue.Name));
    }
}
