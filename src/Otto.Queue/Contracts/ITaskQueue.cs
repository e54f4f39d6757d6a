namespace Otto.Queue;

// The producer's view of the queue: what most code of a program ever sees of this library.

/// <summary>Hands tasks over to the workers, by the shortest route there is: this process, this machine, then
/// further.</summary>
/// <remarks>Safe for use by any number of threads.</remarks>
public interface ITaskQueue
{
    /// <summary>Hands over a task whose name follows from its type.</summary>
    /// <typeparam name="TTask">The type it was declared with, by <c>AddHandler</c> or <c>AddProducer</c>.</typeparam>
    /// <param name="task">The task. On the in-process route the handler gets this very object: do not change it
    /// afterwards.</param>
    /// <param name="options">Promises beyond the default; an instance may be kept and used again.</param>
    /// <param name="cancellationToken">Stops waiting for room; a task that was accepted stays accepted.</param>
    /// <returns>Where the task went and why. Completes at once, without allocating, while the task's queue in this
    /// process has room.</returns>
    /// <exception cref="InvalidOperationException">No task, or more than one, is declared for this type; the message
    /// lists them.</exception>
    /// <exception cref="QueueFullException">No route had room, and the queue rejects when full or the caller is itself
    /// a handler.</exception>
    /// <exception cref="QueueStoppedException">The queue is stopping.</exception>
    /// <exception cref="TaskSerializationException">The task had to leave the process and cannot be serialized, or is
    /// larger than its route carries.</exception>
    ValueTask<TaskReceipt> EnqueueAsync<TTask>(TTask task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull;

    /// <summary>Hands over a task by name, for types that stand for several tasks, such as <see cref="byte"/>
    /// arrays.</summary>
    /// <inheritdoc cref="EnqueueAsync{TTask}(TTask, EnqueueOptions, CancellationToken)"/>
    /// <param name="name">The task's name.</param>
    /// <param name="task">The task.</param>
    /// <param name="options">Promises beyond the default.</param>
    /// <param name="cancellationToken">Stops waiting for room.</param>
    /// <exception cref="ArgumentException">The task of this name is declared with another type.</exception>
    ValueTask<TaskReceipt> EnqueueNamedAsync<TTask>(string name, TTask task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull;

    /// <summary>Hands over a task and waits for its result: <see cref="EnqueueAsync{TTask}"/> with
    /// <see cref="EnqueueOptions.TrackResult"/>, then
    /// <see cref="WaitAsync{TResult}(TaskReceipt, CancellationToken)"/>.</summary>
    /// <typeparam name="TResult">The type that its handler returns.</typeparam>
    /// <param name="task">The task. It is found by the type of the object, or the nearest base type that a task is
    /// declared with, so that only the result's type has to be written:
    /// <c>long n = await queue.InvokeAsync&lt;long&gt;(new Square(3));</c></param>
    /// <param name="options">Promises beyond the default; <see cref="EnqueueOptions.TrackResult"/> is set in any
    /// case.</param>
    /// <param name="cancellationToken">Stops waiting for room, or for the result. A task that was accepted continues,
    /// and its result is dropped. Pass one in a handler: a handler that waits for a task of its own queue keeps a
    /// worker, and waits indefinitely if every worker does so.</param>
    /// <returns>The result; default if the handler returns none.</returns>
    /// <exception cref="InvalidOperationException">No task, or more than one, is declared for this type, or its
    /// <see cref="EnqueueOptions.UniqueKey"/> belongs to another task.</exception>
    /// <exception cref="QueueFullException">No route had room, and the queue rejects when full or the caller is itself
    /// a handler.</exception>
    /// <exception cref="QueueStoppedException">The queue is stopping, or stopped before the result came.</exception>
    /// <exception cref="TaskSerializationException">The task had to leave the process and cannot be serialized, or is
    /// larger than its route carries.</exception>
    /// <exception cref="TaskFailedException">The task was given up: its last attempt failed. The message has the
    /// error.</exception>
    /// <exception cref="TaskCanceledException">The task was cancelled.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the exception
    /// has that token.</exception>
    Task<TResult> InvokeAsync<TResult>(object task, EnqueueOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Hands over many tasks of one type; on a route with round trips they share some.</summary>
    /// <typeparam name="TTask">The type it was declared with.</typeparam>
    /// <param name="tasks">The tasks; enqueued in this order, which is kept as long as none has to wait for
    /// room.</param>
    /// <param name="options">Promises beyond the default, for each.</param>
    /// <param name="cancellationToken">Stops waiting for room; tasks that were accepted stay accepted.</param>
    /// <returns>A receipt for each, in order.</returns>
    /// <exception cref="EnqueueManyException">A task was refused, or the sequence threw.
    /// <see cref="EnqueueManyException.Results"/> has a receipt or an error for each task: each was tried, and those
    /// with a receipt are enqueued.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled before any was
    /// enqueued.</exception>
    ValueTask<IReadOnlyList<TaskReceipt>> EnqueueManyAsync<TTask>(IEnumerable<TTask> tasks, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull;

    /// <summary>Takes a task back, or asks its handler to stop.</summary>
    /// <param name="receipt">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether it was taken back, or is running and its token fires, or is over.</returns>
    ValueTask<CancelOutcome> CancelAsync(TaskReceipt receipt, CancellationToken cancellationToken = default);

    /// <summary>Takes a task back, or asks its handler to stop, from any process that has the queue.</summary>
    /// <param name="queue">The task's queue.</param>
    /// <param name="id">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether it was taken back, or is running and its token fires, or is over.</returns>
    /// <exception cref="InvalidOperationException">There is no such queue here; the message lists those there
    /// are.</exception>
    ValueTask<CancelOutcome> CancelAsync(string queue, TaskId id, CancellationToken cancellationToken = default);

    /// <summary>Waits for the result of a task that was enqueued here with <see cref="EnqueueOptions.TrackResult"/>. A
    /// result is collected once.</summary>
    /// <typeparam name="TResult">The type that its handler returns.</typeparam>
    /// <param name="receipt">The task.</param>
    /// <param name="cancellationToken">Stops the waiting; the task continues.</param>
    /// <returns>The result.</returns>
    /// <exception cref="TaskFailedException">The task was given up: its last attempt failed. The message has the
    /// error.</exception>
    /// <exception cref="TaskCanceledException">The task was cancelled by
    /// <see cref="CancelAsync(TaskReceipt, CancellationToken)"/>.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the exception
    /// has that token.</exception>
    /// <exception cref="InvalidOperationException">It was enqueued without <see cref="EnqueueOptions.TrackResult"/>, or
    /// its result was collected.</exception>
    /// <exception cref="QueueStoppedException">The queue stopped before the result came.</exception>
    /// <exception cref="QueueDeadlockException">The caller is a handler, and every place in which the task could run
    /// has a handler that waits for a task too.</exception>
    Task<TResult> WaitAsync<TResult>(TaskReceipt receipt, CancellationToken cancellationToken = default);

    /// <summary>Waits for the result of a task of which only the id is known: in the process that enqueued it, after
    /// that process has started again, or in any other that has the queue. The task was enqueued with
    /// <see cref="EnqueueOptions.TrackResult"/>, and a result is collected once.</summary>
    /// <typeparam name="TResult">The type that its handler returns.</typeparam>
    /// <param name="queue">The task's queue.</param>
    /// <param name="id">The task.</param>
    /// <param name="cancellationToken">Stops the waiting; the task continues.</param>
    /// <returns>The result.</returns>
    /// <remarks>The result of a task that ran in the process of its producer without leaving it is known there
    /// only.</remarks>
    /// <exception cref="ResultNotFoundException">No route has the task or its result.</exception>
    /// <exception cref="TaskFailedException">The task was given up: its last attempt failed. The message has the
    /// error.</exception>
    /// <exception cref="TaskCanceledException">The task was cancelled.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the exception
    /// has that token.</exception>
    /// <exception cref="InvalidOperationException">There is no such queue here; the message lists those there
    /// are.</exception>
    /// <exception cref="QueueStoppedException">The queue stopped before the result came.</exception>
    Task<TResult> WaitAsync<TResult>(string queue, TaskId id, CancellationToken cancellationToken = default);

    /// <summary>Waits until a task without a result has ended well.</summary>
    /// <inheritdoc cref="WaitAsync{TResult}(TaskReceipt, CancellationToken)"/>
    Task WaitAsync(TaskReceipt receipt, CancellationToken cancellationToken = default);

    /// <summary>Watches how far a task says it is, from now until its result has come, if it was enqueued with
    /// <see cref="EnqueueOptions.TrackResult"/>, else until you stop.</summary>
    /// <param name="receipt">The task.</param>
    /// <param name="cancellationToken">Ends the watching.</param>
    /// <returns>What its handler reports; for one in another process at most ten times per second.</returns>
    IAsyncEnumerable<TaskProgress> ProgressAsync(TaskReceipt receipt, CancellationToken cancellationToken = default);

    /// <summary>The tasks that were given up: list, requeue, delete.</summary>
    TaskDeadLetters DeadLetters { get; }
}
