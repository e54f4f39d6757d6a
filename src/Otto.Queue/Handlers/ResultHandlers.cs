namespace Otto.Queue;

// Handlers with results as handlers without: what they return is kept on the context until the worker tells it.

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
