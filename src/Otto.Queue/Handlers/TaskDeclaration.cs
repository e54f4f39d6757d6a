namespace Otto.Queue;

// What a program said about one task name, kept until the queue is built: the generic type argument must survive until then without
// reflection.

internal abstract class TaskDeclaration(string name, Type taskType, HandlerOptions options)
{
    internal string Name { get; } = name;

    internal Type TaskType { get; } = taskType;

    internal HandlerOptions Options { get; } = options;

    internal string QueueName => Options.Queue ?? Name;

    internal abstract bool Handles { get; }

    /// <summary>What the handler returns; <see langword="null"/> if nothing.</summary>
    internal Type? ResultType { get; init; }

    /// <summary>Makes the handlers; <see langword="null"/> if the program gave a function or an object.</summary>
    internal HandlerActivator? Activator { get; init; }

    /// <summary>Makes a queue's registration of the task.</summary>
    internal abstract TaskRegistration Register(ITaskSerializer serializer);
}

internal sealed class TaskDeclaration<TTask>(string name, HandlerOptions options) : TaskDeclaration(name, typeof(TTask), options)
    where TTask : notnull
{
    internal Func<TTask, TaskContext, CancellationToken, ValueTask>? Invoke { get; init; }

    internal Func<IServiceProvider?, ITaskHandler<TTask>>? Resolve { get; init; }

    /// <summary>Serializes a result; <see langword="null"/> if the handler has none.</summary>
    internal Action<object, ITaskSerializer, EnvelopeBuffer>? WriteResult { get; init; }

    internal override bool Handles => Invoke is not null || Resolve is not null;

    internal override TaskRegistration Register(ITaskSerializer serializer) => new TaskRegistration<TTask>(this, serializer);
}
