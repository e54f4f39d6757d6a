using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// The tasks of a program: those that it works on, and those that it only sends.

public sealed partial class TaskQueueOptions
{
    /// <summary>Adds a handler by its type alone.</summary>
    /// <typeparam name="THandler">The handler's type. It implements <see cref="ITaskHandler{TTask}"/> or
    /// <see cref="ITaskHandler{TTask, TResult}"/>, once.</typeparam>
    /// <param name="configure">Sets the options of its tasks.</param>
    /// <returns>These options.</returns>
    /// <remarks>
    /// The name of the task is that of the handler's <see cref="TaskNameAttribute"/>, or of the task type's, or else
    /// the name of the task type without its namespace, such as <c>Photo</c>. In a native program, use
    /// <see cref="AddHandler{TTask, THandler}(string?, Action{HandlerOptions}?)"/>, which needs no reflection for the
    /// task's type.
    /// </remarks>
    /// <exception cref="ArgumentException">The type handles no task, or several, or its task has no usable
    /// name.</exception>
    [RequiresDynamicCode("The task's type is found at run time. Use AddHandler<TTask, THandler>() in a native program.")]
    public TaskQueueOptions AddHandler<[DynamicallyAccessedMembers(
        DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.Interfaces)] THandler>(
        Action<HandlerOptions>? configure = null)
        where THandler : class
        => Declare(HandlerDeclarations.Find<THandler>(Configure(configure)));

    /// <summary>Adds a handler by its type.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="THandler">The handler's type: taken from the services if it is registered, else created with
    /// its constructor's parameters from there, or without services by a constructor without parameters.</typeparam>
    /// <param name="name">The task's stable name, the same in every process: 1 to 100 letters, digits, <c>.</c>,
    /// <c>_</c> or <c>-</c>. <see langword="null"/> for the name that <see cref="TaskNameAttribute"/> gives to the
    /// handler or the task type, or else the name of the task type.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask>
        => Declare(HandlerDeclarations.WithoutResult<TTask>(
            name ?? TaskNames.Of(typeof(TTask), typeof(THandler)), Configure(configure), new HandlerActivator<THandler>()));

    /// <summary>Adds a handler with a result by its type.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <typeparam name="THandler">The handler's type, created as for
    /// <see cref="AddHandler{TTask, THandler}(string?, Action{HandlerOptions}?)"/>.</typeparam>
    /// <param name="name">The task's stable name; <see langword="null"/> for the name that
    /// <see cref="TaskNameAttribute"/> gives to the handler or the task type, or else the name of the task
    /// type.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, TResult, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask, TResult>
        => Declare(HandlerDeclarations.WithResult<TTask, TResult>(
            name ?? TaskNames.Of(typeof(TTask), typeof(THandler)), Configure(configure), new HandlerActivator<THandler>()));

    /// <summary>Adds one object that handles every task of a name.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once if
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask>(string name, ITaskHandler<TTask> handler, Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure)) { Invoke = handler.HandleAsync });
    }

    /// <summary>Adds a function as a handler.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once if
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask>(string name, Func<TTask, TaskContext, CancellationToken, ValueTask> handler,
        Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure)) { Invoke = handler });
    }

    /// <summary>Adds a function with a result as a handler.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once if
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, TResult>(string name, Func<TTask, TaskContext, CancellationToken, ValueTask<TResult>> handler,
        Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure))
        {
            Invoke = new ResultHandler<TTask, TResult>(new ResultFunction<TTask, TResult>(handler)).HandleAsync,
            ResultType = typeof(TResult),
            WriteResult = ResultHandler<TTask, TResult>.Write,
        });
    }

    /// <summary>Adds a function of the task alone as a handler.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once if
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask>(string name, Action<TTask> handler, Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return AddHandler<TTask>(name, (task, _, _) =>
        {
            handler(task);
            return ValueTask.CompletedTask;
        }, configure);
    }

    /// <summary>Adds an asynchronous function of the task alone as a handler.</summary>
    /// <inheritdoc cref="AddHandler{TTask}(string, Action{TTask}, Action{HandlerOptions})"/>
    [OverloadResolutionPriority(1)] // An async lambda fits the others too.
    public TaskQueueOptions AddHandler<TTask>(string name, Func<TTask, Task> handler, Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return AddHandler<TTask>(name, (task, _, _) => new ValueTask(handler(task)), configure);
    }

    /// <summary>Adds a task that this process only sends: other processes work on it.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name; <see langword="null"/> for the name that
    /// <see cref="TaskNameAttribute"/> gives to the task type, or else the name of the task type.</param>
    /// <param name="configure">Sets its queue and serializer; the other options are for workers.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddProducer<TTask>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        => Declare(new TaskDeclaration<TTask>(name ?? TaskNames.Of(typeof(TTask)), Configure(configure)));

    private TaskQueueOptions Declare(TaskDeclaration declaration)
    {
        ThrowIfReadOnly();
        _ = new ChannelName(declaration.Name);
        _ = new ChannelName(declaration.QueueName);
        if (!_options.TryAdd(declaration.Name, declaration.Options))
            throw new ArgumentException(
                $"task '{declaration.Name}' is declared twice; give one of them another name, or remove one AddHandler or AddProducer");
        _declarations.Add(declaration);
        return this;
    }

    private static HandlerOptions Configure(Action<HandlerOptions>? configure)
    {
        HandlerOptions options = new();
        configure?.Invoke(options);
        return options;
    }
}
