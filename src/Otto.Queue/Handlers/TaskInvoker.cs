using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;

namespace Otto.Queue;

// Runs a task's handler: through the filters, in a scope of its own if it asks for one, and writes what it returned.

internal abstract class TaskInvoker
{
    /// <summary>Prepares to run tasks: resolves the handler where one instance serves them all.</summary>
    internal abstract void Prepare(IServiceProvider? services, ITaskFilter[] filters);

    internal abstract ValueTask RunAsync(object task, TaskContext context, CancellationToken cancellationToken);

    internal abstract ValueTask RunSerializedAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken cancellationToken);

    /// <summary>Writes a result as its declaration says.</summary>
    internal abstract void WriteResult(object value, EnvelopeBuffer buffer);
}

internal sealed class TaskInvoker<TTask>(TaskDeclaration<TTask> declaration, ITaskSerializer serializer) : TaskInvoker
    where TTask : notnull
{
    private Func<TTask, TaskContext, CancellationToken, ValueTask>? _invoke;
    private Func<IServiceProvider?, ITaskHandler<TTask>>? _resolve;
    private IServiceScopeFactory? _scopes;
    private IServiceProvider? _services;
    private ITaskFilter[] _filters = [];

    internal override void Prepare(IServiceProvider? services, ITaskFilter[] filters)
    {
        if (!declaration.Handles) return;
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
        TTask task = serializer.Deserialize<TTask>(payload);
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
        if (declaration.WriteResult is not { } write)
            throw new InvalidOperationException($"task '{declaration.Name}' was declared without a result");
        write(value, serializer, buffer);
    }
}

/// <summary>Makes a handler with a result one without: what it returns is kept on the context until the worker reports
/// it.</summary>
internal sealed class ResultHandler<TTask, TResult>(ITaskHandler<TTask, TResult> inner) : ITaskHandler<TTask>
    where TTask : notnull
{
    public async ValueTask HandleAsync(TTask task, TaskContext context, CancellationToken cancellationToken)
        => context.SetResult(await inner.HandleAsync(task, context, cancellationToken).ConfigureAwait(false));

    internal static void Write(object value, ITaskSerializer serializer, EnvelopeBuffer buffer) =>
        serializer.Serialize((TResult)value, buffer);
}

internal sealed class ResultFunction<TTask, TResult>(Func<TTask, TaskContext, CancellationToken, ValueTask<TResult>> inner)
    : ITaskHandler<TTask, TResult>
    where TTask : notnull
{
    public ValueTask<TResult> HandleAsync(TTask task, TaskContext context, CancellationToken cancellationToken) =>
        inner(task, context, cancellationToken);
}
