using Otto.Ipc;

namespace Otto.Queue;

// What a channel can do besides carrying tasks. Each interface is optional. Without IHoldingChannel a durable task does not stay an object
// of this process. Without ICancelableChannel a task on the route cannot be cancelled. Without IEventChannel a producer learns nothing of
// tasks that run in other processes, and without IResultChannel it never asks for an event that it missed. Without IDeadLetterChannel a
// task that was given up is only logged.

/// <summary>A <see cref="TaskChannel"/> that can store a task which this process works on itself.</summary>
public interface IHoldingChannel
{
    /// <summary>Stores an envelope that this process will work on itself: held from the start and never ready, unless
    /// this process dies.</summary>
    /// <param name="message">The envelope.</param>
    /// <param name="options">What goes with it; a delay makes no sense here.</param>
    /// <param name="lease">The envelope as a lease.</param>
    /// <returns>What became of it; <see cref="SendOutcome.Full"/> if there is no room.</returns>
    SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions options, out WorkLease lease);
}

/// <summary>A <see cref="TaskChannel"/> from which tasks can be taken back.</summary>
public interface ICancelableChannel
{
    /// <summary>Takes a task back that no worker has begun, or finds out that one has.</summary>
    /// <param name="id">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see cref="CancelOutcome.Requested"/> where a worker holds it; its process must learn of it by an
    /// event.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken);
}

/// <summary>A <see cref="TaskChannel"/> that carries events beside its tasks: cancels, results and progress.</summary>
public interface IEventChannel
{
    /// <summary>Whether events reach other processes on this route.</summary>
    bool CarriesEvents { get; }

    /// <summary>Receives from now on what others publish with <see cref="NotifyAsync"/>. Further calls do
    /// nothing.</summary>
    /// <param name="received">Called for each event, by any thread, the bytes valid until it returns; must not
    /// block. An empty message means that events may have been missed.</param>
    /// <returns>Completes when whatever is published from now on is received.</returns>
    ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received);

    /// <summary>Publishes an event to every process that listens on this queue. Not kept: a process that does not
    /// listen, or listens too slowly, misses it.</summary>
    /// <param name="message">The event.</param>
    /// <param name="resultOf">The task whose result it is, so that the route may keep it for a while for processes that
    /// ask later; <see langword="null"/> for no result.</param>
    /// <returns>Completes when it was published.</returns>
    /// <exception cref="IOException">The route cannot be reached, or the event is too large for it.</exception>
    ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null);
}

/// <summary>A <see cref="TaskChannel"/> that learns from its worker, before a handler starts, what a death of the
/// worker would prove. Asked for tasks whose worker has died before (<see cref="WorkLease.GetHistory"/>).</summary>
public interface ICrashEvidenceChannel
{
    /// <summary>Notes that this process runs a task with nothing else beside it: if it dies, the attempt
    /// counts.</summary>
    /// <param name="lease">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Completes when the route has the note.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask BeginAloneAsync(WorkLease lease, CancellationToken cancellationToken);

    /// <summary>Waits until the ends of leases that this process has ended are known to the route.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Completes when they are.</returns>
    ValueTask FlushAsync(CancellationToken cancellationToken);
}

/// <summary>A <see cref="TaskChannel"/> that can be asked for results, so that none depends on an event.</summary>
public interface IResultChannel
{
    /// <summary>Whether a lease's <see cref="WorkLease.Complete(ReadOnlySpan{byte})"/> keeps the result until
    /// <see cref="FindResultAsync"/> takes it. Otherwise, the route keeps what <see cref="IEventChannel.NotifyAsync"/>
    /// publishes, if anything.</summary>
    bool KeepsResults => false;

    /// <summary>Whether the route itself publishes, as an event, that a result of
    /// <see cref="WorkLease.Complete(ReadOnlySpan{byte})"/> is there, in the step in which it is kept; and keeps and
    /// publishes why there is none if a task was given up or taken back.</summary>
    bool AnnouncesResults => false;

    /// <summary>Whether uncollected results take so much room that producers should collect theirs.</summary>
    bool MustCollect => false;

    /// <summary>Asks for the event of a task's result, or of its failure if the route has it among the dead letters,
    /// and takes it if it is there.</summary>
    /// <param name="id">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The event, or why there is none.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<ResultLookup> FindResultAsync(TaskId id, CancellationToken cancellationToken);
}

/// <summary>What a route knows about a result.</summary>
/// <param name="Event">The event; <see langword="null"/> if the route has none.</param>
/// <param name="IsGone">Whether the route neither has the task nor a result of it, and keeps all of them: the result
/// was collected, or dropped. <see langword="false"/> if it does not know.</param>
public readonly record struct ResultLookup(ReadOnlyMemory<byte>? Event, bool IsGone = false);

/// <summary>A <see cref="TaskChannel"/> that leaves tasks for which this process has no handler to workers that have
/// one. Without it such a task goes back to the end of the queue, and this process pauses.</summary>
public interface ISelectiveChannel
{
    /// <summary>Sets which tasks are handled here. Called before <see cref="TaskChannel.StartConsuming"/>.</summary>
    /// <param name="names">Their names.</param>
    void SetHandled(IReadOnlyCollection<string> names);

    /// <summary>Leaves a task to others: it waits for a worker that handles its name, and this process does not get it
    /// again.</summary>
    /// <param name="lease">The task; its lease ends.</param>
    /// <param name="name">Its name, UTF-8.</param>
    /// <returns><see langword="false"/> if the lease had ended, or the queue cannot do it.</returns>
    bool PassOver(in WorkLease lease, ReadOnlySpan<byte> name);

    /// <summary>Counts the tasks that were left to others, by name, of which no worker is known that handles
    /// them.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The names and counts; empty if the route does not know.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<IReadOnlyList<UnhandledTasks>> GetUnhandledAsync(CancellationToken cancellationToken) => new([]);
}

/// <summary>A <see cref="TaskChannel"/> that keeps tasks which were given up.</summary>
public interface IDeadLetterChannel
{
    /// <summary>Puts an envelope among the dead letters without its ever being ready.</summary>
    /// <param name="message">The envelope; copied before this returns.</param>
    /// <param name="reason">Why, for the person who looks.</param>
    /// <returns><see langword="false"/> if there is no room or no way.</returns>
    ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason);

    /// <summary>Copies out dead letters.</summary>
    /// <param name="max">The most to return.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The letters, oldest first.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken);

    /// <summary>Makes a dead letter ready again, its attempts forgotten.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken);

    /// <summary>Removes a dead letter permanently.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken);
}
