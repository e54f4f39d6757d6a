using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.DependencyInjection;

namespace Otto.Queue;

// A task's name tied to its type, serialiser and handler: found once an enqueue and once a message, after that everything is a direct call.
// It knows no queue.

internal abstract class TaskRegistration(TaskDeclaration declaration, ITaskSerializer serializer)
{
    internal string Name { get; } = declaration.Name;

    internal byte[] NameUtf8 { get; } = Encoding.UTF8.GetBytes(declaration.Name);

    internal string QueueName { get; } = declaration.QueueName;

    internal ITaskSerializer Serializer { get; } = serializer;

    internal bool HandledHere { get; } = declaration.Handles;

    internal RetryPolicy Retry { get; } = new(declaration.Options);

    internal TimeSpan? Timeout { get; } = declaration.Options.Timeout;

    internal int Concurrency { get; } = declaration.Options.Concurrency ?? Environment.ProcessorCount;

    internal KeyValuePair<string, object?> NameTag { get; } = new("otto.task.name", declaration.Name);

    /// <summary>Prepares to run tasks: resolves the handler where one instance serves them all.</summary>
    internal abstract void Prepare(IServiceProvider? services, ITaskFilter[] filters);

    /// <summary>Enqueues a task of which only the object's own type is known.</summary>
    internal abstract ValueTask<TaskReceipt> EnqueueAsync(ITaskDispatcher dispatcher, object task, EnqueueOptions? options,
        CancellationToken cancellationToken);

    internal abstract ValueTask RunAsync(object task, TaskContext context, CancellationToken cancellationToken);

    internal abstract ValueTask RunSerializedAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken cancellationToken);

    /// <summary>Writes a result as its declaration says.</summary>
    internal abstract void WriteResult(object value, EnvelopeBuffer buffer);

    /// <summary>Writes a whole envelope. The caller returns the buffer.</summary>
    internal abstract EnvelopeBuffer Write(object task, in EnvelopeHeader header);

    /// <summary>What the task would be after a trip through another route.</summary>
    internal abstract object RoundTrip(object task);

    /// <summary>Reads a payload and writes it again, which must give the same bytes.</summary>
    /// <exception cref="TaskSerializationException">It does not, or cannot be read.</exception>
    internal abstract object Reread(byte[] payload);
}

/// <summary>Takes in tasks by their registration.</summary>
internal interface ITaskDispatcher
{
    ValueTask<TaskReceipt> EnqueueAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnqueueOptions? options,
        CancellationToken cancellationToken)
        where TTask : notnull;
}

internal sealed class TaskRegistration<TTask>(TaskDeclaration<TTask> declaration, ITaskSerializer serializer)
    : TaskRegistration(declaration, serializer)
    where TTask : notnull
{
    private Func<TTask, TaskContext, CancellationToken, ValueTask>? _invoke;
    private Func<IServiceProvider?, ITaskHandler<TTask>>? _resolve;
    private IServiceScopeFactory? _scopes;
    private IServiceProvider? _services;
    private ITaskFilter[] _filters = [];

    internal override ValueTask<TaskReceipt> EnqueueAsync(ITaskDispatcher dispatcher, object task, EnqueueOptions? options,
        CancellationToken cancellationToken)
        => dispatcher.EnqueueAsync(this, (TTask)task, options, cancellationToken);

    internal override void Prepare(IServiceProvider? services, ITaskFilter[] filters)
    {
        if (!HandledHere) return;
        _services = services;
        _filters = filters;
        _scopes = declaration.Options.Scope ? services?.GetService<IServiceScopeFactory>() : null;
        _invoke = declaration.Invoke;
        if (_invoke is not null) return;
        if (_scopes is not null) _resolve = declaration.Resolve;
        else _invoke = declaration.Resolve!(services).HandleAsync;
    }

    internal override ValueTask RunAsync(object task, TaskContext context, CancellationToken cancellationToken)
        // Unchecked: the ring only ever holds what EnqueueAsync<TTask> put there for this registration.
        => Run(typeof(TTask).IsValueType ? (TTask)task : Unsafe.As<object, TTask>(ref task), context, cancellationToken);

    internal override ValueTask RunSerializedAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken cancellationToken)
    {
        TTask task = Serializer.Deserialize<TTask>(payload);
        context.Decoded = true;
        return Run(task, context, cancellationToken);
    }

    private ValueTask Run(TTask task, TaskContext context, CancellationToken cancellationToken)
    {
        if (_scopes is not null) return RunInScopeAsync(task, context, cancellationToken);
        context.Services = _services;
        return _filters.Length == 0 ? _invoke!(task, context, cancellationToken)
            : RunThrough(0, _invoke!, task, context, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask RunInScopeAsync(TTask task, TaskContext context, CancellationToken cancellationToken)
    {
        AsyncServiceScope scope = _scopes!.CreateAsyncScope();
        try
        {
            context.Services = scope.ServiceProvider;
            Func<TTask, TaskContext, CancellationToken, ValueTask> invoke = _invoke ?? _resolve!(scope.ServiceProvider).HandleAsync;
            if (_filters.Length == 0) await invoke(task, context, cancellationToken).ConfigureAwait(false);
            else await RunThrough(0, invoke, task, context, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            context.Services = null;
            await scope.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ValueTask RunThrough(int filter, Func<TTask, TaskContext, CancellationToken, ValueTask> invoke, TTask task, TaskContext context,
        CancellationToken cancellationToken)
        => filter == _filters.Length
            ? invoke(task, context, cancellationToken)
            : _filters[filter].InvokeAsync(task, context, token => RunThrough(filter + 1, invoke, task, context, token), cancellationToken);

    internal override void WriteResult(object value, EnvelopeBuffer buffer)
    {
        if (declaration.WriteResult is not { } write) throw new InvalidOperationException($"task '{Name}' was declared without a result");
        write(value, Serializer, buffer);
    }

    internal override EnvelopeBuffer Write(object task, in EnvelopeHeader header) => WriteTyped((TTask)task, header);

    internal EnvelopeBuffer WriteTyped(TTask task, EnvelopeHeader header)
    {
        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        header.Format = Serializer.Format;
        header.Write(buffer, NameUtf8);
        try
        {
            Serializer.Serialize(task, buffer);
        }
        catch (Exception e)
        {
            buffer.Return();
            throw new TaskSerializationException($"task '{Name}' ({typeof(TTask)}) cannot be serialised: {e.Message}", e);
        }

        EnvelopeHeader.Seal(buffer.Written);
        return buffer;
    }

    internal override object RoundTrip(object task)
    {
        EnvelopeBuffer buffer = WriteTyped((TTask)task, default);
        try
        {
            return Reread(buffer.WrittenMemory[(EnvelopeLayout.FixedBytes + NameUtf8.Length)..].ToArray());
        }
        finally
        {
            buffer.Return();
        }
    }

    internal override object Reread(byte[] payload)
    {
        try
        {
            TTask copy = Serializer.Deserialize<TTask>(payload);
            EnvelopeBuffer again = WriteTyped(copy, default);
            bool same = again.WrittenMemory.Span[(EnvelopeLayout.FixedBytes + NameUtf8.Length)..].SequenceEqual(payload);
            again.Return();
            return same ? copy : throw new TaskSerializationException(
                $"task '{Name}' ({typeof(TTask)}) does not survive serialising: written again after it was read, it differs");
        }
        catch (Exception e) when (e is not TaskSerializationException)
        {
            throw new TaskSerializationException(
                $"task '{Name}' ({typeof(TTask)}) cannot be read back from what it was written as: {e.Message}", e);
        }
    }
}
