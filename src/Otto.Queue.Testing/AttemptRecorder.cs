namespace Otto.Queue.Testing;

// The outermost filter: sees each attempt as it begins, and how it ended.

internal sealed class AttemptRecorder(TestClock clock) : ITaskFilter
{
    private readonly Lock _lock = new();
    private readonly List<TaskAttempt> _attempts = [];

    internal IReadOnlyList<TaskAttempt> Attempts
    {
        get
        {
            lock (_lock) return [.. _attempts];
        }
    }

    public async ValueTask InvokeAsync(object task, TaskContext context, TaskContinuation continuation, CancellationToken cancellationToken)
    {
        TaskAttempt attempt = new(context.Id, context.Queue, context.Name, context.Attempt, task, clock.GetUtcNow(), null);
        try
        {
            await continuation(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            attempt = attempt with { Error = e };
            throw;
        }
        finally
        {
            lock (_lock) _attempts.Add(attempt);
        }
    }
}
