using System.Collections.Concurrent;
using System.Text;

namespace Otto.Queue;

// The results that producers here asked for: a place for each from before its task is sent until somebody has waited for it, or nobody did
// for long.

internal sealed class PendingResults(QueueClock clock)
{
    /// <summary>How many results may be outstanding or uncollected at once.</summary>
    internal const int MostResults = 100_000;

    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<TaskId, Pending> _pending = new();
    private int _opened;

    internal bool IsEmpty => _pending.IsEmpty;

    /// <summary>The tasks whose results have not come.</summary>
    internal IEnumerable<TaskId> Outstanding => _pending.Where(static p => !p.Value.Came.Task.IsCompleted).Select(static p => p.Key);

    internal void Open(TaskId id, TaskRegistration registration)
    {
        if (++_opened % 1024 == 0) Sweep();
        if (_pending.Count >= MostResults)
            throw new QueueFullException($"{MostResults:N0} results are outstanding or uncollected; wait for them with WaitAsync, or "
                + $"set TrackResult only for tasks whose results are needed");
        _pending[id] = new Pending(registration, clock.Timestamp);
    }

    /// <summary>Forgets a task that was not sent after all.</summary>
    internal void Forget(TaskId id) => _pending.TryRemove(id, out _);

    internal bool Expects(TaskId id) => _pending.TryGetValue(id, out Pending? pending) && !pending.Came.Task.IsCompleted;

    /// <summary>Whether the result is here and was not collected.</summary>
    internal bool HasCome(TaskId id) => _pending.TryGetValue(id, out Pending? pending) && pending.Came.Task.IsCompleted;

    /// <summary>Takes in a result; a second one for the same task, of an attempt that ran twice, changes
    /// nothing.</summary>
    internal void Complete(TaskId id, in TaskResult result)
    {
        if (_pending.TryGetValue(id, out Pending? pending)) pending.Came.TrySetResult(result);
    }

    internal void Receive(TaskId id, ReadOnlySpan<byte> body)
    {
        if (!_pending.TryGetValue(id, out Pending? pending)) return;
        ResultStatus status = (ResultStatus)body[0];
        pending.Came.TrySetResult(status == ResultStatus.Done
            ? new TaskResult(status, null, body[2..].ToArray(), body[1], null)
            : new TaskResult(status, null, null, 0, Encoding.UTF8.GetString(body[2..])));
    }

    internal async Task<TResult> WaitAsync<TResult>(TaskId id, CancellationToken cancellationToken)
    {
        if (!_pending.TryGetValue(id, out Pending? pending))
            throw new InvalidOperationException($"task {id} was not enqueued here with TrackResult = true, or its result was collected, or "
                + $"is older than {Kept.TotalMinutes} minutes");
        TaskResult result = await pending.Came.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        _pending.TryRemove(id, out _);
        if (result.Status == ResultStatus.Cancelled)
            throw new TaskCanceledException($"task '{pending.Registration.Name}' {id} was cancelled");
        if (result.Status != ResultStatus.Done)
            throw new TaskFailedException($"task '{pending.Registration.Name}' {id} failed: {result.Error}");
        if (result.Payload is not { } payload)
            return result.Value is TResult value ? value
                : result.Value is null ? default! : throw Mismatch(pending, result.Value.GetType().ToString());
        if (result.Format != pending.Registration.Serializer.Format) throw Mismatch(pending, $"format {result.Format}");
        return payload.Length == 0 ? default! : pending.Registration.Serializer.Deserialize<TResult>(payload);

        static InvalidOperationException Mismatch(Pending pending, string got) =>
            new($"task '{pending.Registration.Name}' has a result of {got}, not {typeof(TResult)}");
    }

    /// <summary>Ends all waits, and those that are still to begin, for results that have not come: nothing here
    /// receives them any more.</summary>
    internal void Stop()
    {
        foreach ((TaskId id, Pending pending) in _pending)
        {
            QueueStoppedException stopped = new($"the queue stopped before the result of task '{pending.Registration.Name}' {id} came; "
                + "a task that was handed over is done by another process, and its result is not received here");
            if (pending.Came.TrySetException(stopped)) _ = pending.Came.Task.Exception; // Seen: nobody may be waiting for it.
        }
    }

    private void Sweep()
    {
        long old = clock.Timestamp - clock.ToTicks(Kept);
        foreach ((TaskId id, Pending pending) in _pending)
            if (pending.Came.Task.IsCompleted && pending.OpenedAt < old) _pending.TryRemove(id, out _);
    }

    private sealed class Pending(TaskRegistration registration, long openedAt)
    {
        internal TaskRegistration Registration { get; } = registration;

        internal long OpenedAt { get; } = openedAt;

        internal TaskCompletionSource<TaskResult> Came { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>How a task ended: its value where producer and worker are one process, else its bytes.</summary>
internal readonly record struct TaskResult(ResultStatus Status, object? Value, byte[]? Payload, byte Format, string? Error);
