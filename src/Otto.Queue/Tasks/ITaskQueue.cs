namespace Otto.Queue;

// The producer's view of the queue: what most code of a program ever sees of this library.

/// <summary>Hands tasks over to whoever works on them, by the shortest way there is: this process, this machine, then further.</summary>
/// <remarks>Safe for use by any number of threads.</remarks>
public interface ITaskQueue
{
    /// <summary>Hands over a task whose name follows from its type.</summary>
    /// <typeparam name="TTask">The type it was declared with, by <c>Handle</c> or <c>Send</c>.</typeparam>
    /// <param name="task">The task. On the in-process route the handler gets this very object: do not change it afterwards.</param>
    /// <param name="options">Promises beyond the default; an instance may be kept and used again.</param>
    /// <param name="cancellationToken">Stops waiting for room; a task that was accepted stays accepted.</param>
    /// <returns>Where the task went and why. Completes at once, without allocating, while the task's queue in this process has room.</returns>
    /// <exception cref="ArgumentException">No task, or more than one, is declared for this type; the message lists them.</exception>
    /// <exception cref="QueueFullException">No route had room, and the queue rejects when full or the caller is itself a handler.</exception>
    /// <exception cref="QueueStoppedException">The queue is stopping.</exception>
    /// <exception cref="TaskSerializationException">The task had to leave the process and cannot be serialised, or is larger than its route's slot.</exception>
    ValueTask<TaskReceipt> EnqueueAsync<TTask>(TTask task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull;

    /// <summary>Hands over a task by name, for types that stand for several tasks, such as <see cref="byte"/> arrays.</summary>
    /// <inheritdoc cref="EnqueueAsync{TTask}(TTask, EnqueueOptions, CancellationToken)"/>
    /// <param name="name">The task's name.</param>
    /// <param name="task">The task.</param>
    /// <param name="options">Promises beyond the default.</param>
    /// <param name="cancellationToken">Stops waiting for room.</param>
    ValueTask<TaskReceipt> EnqueueAsync<TTask>(string name, TTask task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull;

    /// <summary>The tasks that were given up: list, requeue, drop.</summary>
    TaskDeadLetters DeadLetters { get; }
}
