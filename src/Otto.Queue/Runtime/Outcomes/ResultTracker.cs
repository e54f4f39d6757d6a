namespace Otto.Queue;

// The producer's side of results: a place for each before its task is sent, and listening for those that come from other processes.

internal sealed class ResultTracker(PendingResults results, TaskEventBus events)
{
    internal async ValueTask OpenAsync(TaskId id, TaskRegistration registration)
    {
        await events.ListenAsync().ConfigureAwait(false);
        results.Open(id, registration);
    }

    internal void Forget(TaskId id) => results.Forget(id);
}
