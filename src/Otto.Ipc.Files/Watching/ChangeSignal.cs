using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Watching;

// What a waiter sleeps on: a waiter that takes the task before it polls cannot miss a signal that comes after.

internal sealed class ChangeSignal : IDirectoryWaiter
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _next;

    /// <summary>Completes at the next signal.</summary>
    public Task Next()
    {
        // Continuations elsewhere: the thread that signals serves all waiters.
        lock (_gate) return (_next ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }

    public void OnChanged() => Set();

    public void Set()
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
