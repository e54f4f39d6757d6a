using System.Collections.Concurrent;
using System.Text;

namespace Otto.Queue;

// The results that this process asked for or waits for: a place for each from before its task is sent until a caller has waited for it. A
// route that keeps results has them too, so a place here may be given up for want of memory.

internal sealed class PendingResults(QueueClock clock)
{
    /// <summary>How many results may be outstanding or uncollected at once, besides those
    /// that a caller waits for.</summary>
    internal const int MostResults = 100_000;

    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<TaskId, Pending> _pending = new();
    private int _opened;
    private int _count;
    private volatile bool _stopped;

    internal bool IsEmpty => _pending.IsEmpty;

    /// <summary>The tasks whose results have not come.</summary>
    internal IEnumerable<TaskId> Outstanding => _pending.Where(static p => !p.Value.Came.Task.IsCompleted).Select(static p => p.Key);

    internal void Open(TaskId id, TaskRegistration registration)
    {
        if (Interlocked.Increment(ref _opened) % 1024 == 0) Sweep();
        Add(id, new Pending([registration], clock.Timestamp));
    }

    /// <summary>Forgets a task that was not sent after all.</summary>
    internal void Forget(TaskId id) => Remove(id);

    internal bool Expects(TaskId id) => _pending.TryGetValue(id, out Pending? pending) && !pending.Came.Task.IsCompleted;

    /// <summary>Whether a caller waits for a result that has not come.</summary>
    internal bool IsAwaited(TaskId id) =>
        _pending.TryGetValue(id, out Pending? pending) && pending.Waiters > 0 && !pending.Came.Task.IsCompleted;

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
        if (_pending.TryGetValue(id, out Pending? pending)) pending.Came.TrySetResult(Read(body));
    }

    /// <summary>Takes in a result that its route does not have any more. Where its wait has just ended, it stays here
    /// for the next one.</summary>
    internal void ReceiveTaken(TaskId id, ReadOnlySpan<byte> body, IReadOnlyList<TaskRegistration> tasks) =>
        Add(id, new Pending(tasks, clock.Timestamp)).Came.TrySetResult(Read(body));

    private static TaskResult Read(ReadOnlySpan<byte> body)
    {
        ResultStatus status = (ResultStatus)body[0];
        return status == ResultStatus.Done
            ? new TaskResult(status, null, body[2..].ToArray(), body[1], null)
            : new TaskResult(status, null, null, 0, Encoding.UTF8.GetString(body[2..]));
    }

    /// <summary>Ends the waits for a result that no route has any more.</summary>
    internal void Lose(TaskId id)
    {
        if (!_pending.TryGetValue(id, out Pending? pending)) return;
        Fail(pending, new ResultNotFoundException(
            $"no route has task {id} or a result of it: its result was collected, was not asked for with "
            + "TrackResult, or was dropped because its time was over"));
        Remove(id);
    }

    /// <summary>Waits for a result.</summary>
    /// <param name="id">The task.</param>
    /// <param name="tasks">The tasks of its queue, where it may be on a route that keeps results;
    /// <see langword="null"/> if its result can come from this process only.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    internal async Task<TResult> WaitAsync<TResult>(TaskId id, IReadOnlyList<TaskRegistration>? tasks, CancellationToken cancellationToken)
    {
        if (!_pending.TryGetValue(id, out Pending? pending))
        {
            if (tasks is null)
                throw new ResultNotFoundException(
                    $"task {id} was not enqueued here with TrackResult = true, or its result was collected, or "
                    + $"is older than {Kept.TotalMinutes} minutes");
            pending = Add(id, new Pending(tasks, clock.Timestamp) { IsForeign = true });
        }

        Interlocked.Increment(ref pending.Waiters);
        // Counted first, and then still there: whoever removes it has seen the count, or it is added again.
        while (!pending.Came.Task.IsCompleted && Add(id, pending) is var current && !ReferenceEquals(current, pending))
        {
            Interlocked.Decrement(ref pending.Waiters);
            pending = current;
            Interlocked.Increment(ref pending.Waiters);
        }

        // Set before a stop ends all waits: one of us sees the other.
        if (_stopped) Fail(pending, Stopped(id, pending.Tasks[0].Name));
        try
        {
            TaskResult result = await pending.Came.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            TResult value = Read<TResult>(id, pending, result);
            Remove(id);
            return value;
        }
        catch (Exception e) when (e is TaskFailedException or TaskCanceledException { CancellationToken.CanBeCanceled: false })
        {
            Remove(id);
            throw;
        }
        finally
        {
            if (Interlocked.Decrement(ref pending.Waiters) == 0 && pending.IsForeign && !pending.Came.Task.IsCompleted) Remove(id, pending);
        }
    }

    private static TResult Read<TResult>(TaskId id, Pending pending, in TaskResult result)
    {
        string name = pending.Tasks.Count == 1 ? $"'{pending.Tasks[0].Name}' " : "";
        if (result.Status == ResultStatus.Cancelled) throw new TaskCanceledException($"task {name}{id} was cancelled");
        if (result.Status != ResultStatus.Done) throw new TaskFailedException($"task {name}{id} failed: {result.Error}");
        if (result.Payload is not { } payload)
            return result.Value is TResult value ? value
                : result.Value is null ? default! : throw Mismatch(result.Value.GetType().ToString());
        byte format = result.Format;
        if (pending.Tasks.FirstOrDefault(t => t.Serializer.Format == format) is not { } task) throw Mismatch($"format {format}");
        return payload.Length == 0 ? default! : task.Serializer.Deserialize<TResult>(payload);

        InvalidOperationException Mismatch(string got) => new($"task {name}{id} has a result of {got}, not {typeof(TResult)}");
    }

    /// <summary>Ends all waits, and those that are still to begin, for results that have not come: nothing here
    /// receives them any more.</summary>
    internal void Stop()
    {
        _stopped = true;
        foreach ((TaskId id, Pending pending) in _pending) Fail(pending, Stopped(id, pending.Tasks[0].Name));
    }

    private static QueueStoppedException Stopped(TaskId id, string task) =>
        new($"the queue stopped before the result of task '{task}' {id} came; "
            + "a task that was handed over is done by another process, and its result is not received here");

    private static void Fail(Pending pending, Exception e)
    {
        if (pending.Came.TrySetException(e)) _ = pending.Came.Task.Exception; // Seen: nobody may be waiting for it.
    }

    private Pending Add(TaskId id, Pending added)
    {
        while (true)
        {
            if (_pending.TryGetValue(id, out Pending? pending)) return pending;
            if (!_pending.TryAdd(id, added)) continue;
            Interlocked.Increment(ref _count);
            return added;
        }
    }

    private void Remove(TaskId id, Pending pending)
    {
        if (_pending.TryRemove(KeyValuePair.Create(id, pending))) Interlocked.Decrement(ref _count);
    }

    private void Remove(TaskId id)
    {
        if (_pending.TryRemove(id, out _)) Interlocked.Decrement(ref _count);
    }

    // What nobody waits for goes: where it is old, and, beyond the bound, the oldest.
    private void Sweep()
    {
        long old = clock.Timestamp - clock.ToTicks(Kept);
        foreach ((TaskId id, Pending pending) in _pending)
            if (pending.Waiters == 0 && pending.OpenedAt < old && pending.Came.Task.IsCompleted)
                Remove(id, pending);
        int excess = Volatile.Read(ref _count) - MostResults + MostResults / 10;
        if (excess <= MostResults / 10) return;
        foreach ((TaskId id, Pending pending) in _pending.ToArray().OrderBy(static p => p.Value.OpenedAt).Take(excess))
            if (pending.Waiters == 0) Remove(id, pending);
    }

    private sealed class Pending(IReadOnlyList<TaskRegistration> tasks, long openedAt)
    {
        /// <summary>How many callers wait.</summary>
        internal int Waiters;

        /// <summary>The task; or all of its queue, where only its id is known.</summary>
        internal IReadOnlyList<TaskRegistration> Tasks { get; } = tasks;

        internal long OpenedAt { get; } = openedAt;

        /// <summary>Whether it was enqueued elsewhere.</summary>
        internal bool IsForeign { get; init; }

        internal TaskCompletionSource<TaskResult> Came { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>How a task ended: its value where producer and worker are one process, else its bytes.</summary>
internal readonly record struct TaskResult(ResultStatus Status, object? Value, byte[]? Payload, byte Format, string? Error);
