namespace Otto.Ipc.Files.Watching;

// What a waiter sleeps on: whoever takes the task before looking cannot miss a ring that comes after.

internal sealed class Wakeup
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _next;

    /// <summary>Completes at the next ring.</summary>
    public Task Next()
    {
        // Continuations elsewhere: the ringer is the thread that serves everybody.
        lock (_gate) return (_next ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }

    public void Ring()
    {
        TaskCompletionSource? next;
        lock (_gate)
        {
            next = _next;
            _next = null;
        }

        next?.TrySetResult();
    }
}
