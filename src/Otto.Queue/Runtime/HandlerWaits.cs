namespace Otto.Queue;

// Waits in handlers for tasks: each holds a place of its queue, and the task that it waits for needs one. If every place that could run the
// task has such a handler, none ever ends. That is seen from outside: the same in two looks.

internal sealed class HandlerWaits(IReadOnlyList<QueueRuntime> queues)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Waits for a task in a handler.</summary>
    /// <param name="place">The handler's place.</param>
    /// <param name="receipt">The task.</param>
    /// <param name="waiting">The wait.</param>
    /// <exception cref="QueueDeadlockException">It cannot end.</exception>
    internal async Task<TResult> GuardAsync<TResult>(HandlerPlace place, TaskReceipt receipt, Task<TResult> waiting)
    {
        place.BeginWait(receipt.Queue);
        try
        {
            bool stuck = false;
            while (!waiting.IsCompleted)
            {
                await Task.WhenAny(waiting, Task.Delay(Interval)).ConfigureAwait(false);
                if (waiting.IsCompleted) break;
                bool before = stuck;
                stuck = IsStuck(receipt.Queue);
                if (!stuck || !before) continue;
                QueueRuntime queue = QueueRuntime.Find(queues, receipt.Queue);
                // What waits here as an object only others can begin.
                if (queue.HasOtherWorkers) await queue.GiveToOthersAsync().ConfigureAwait(false);
                else throw Deadlock(queue, receipt);
            }

            return await waiting.ConfigureAwait(false);
        }
        finally
        {
            place.EndWait(receipt.Queue);
        }
    }

    private static QueueDeadlockException Deadlock(QueueRuntime queue, TaskReceipt receipt) => new(
        $"waiting for task {receipt.Id} would never end: queue '{queue.Name}' runs {queue.Concurrency} at a time here, each of them is a "
        + "handler that waits for a task itself, and no other process works on the queue; raise Concurrency, put the task into another "
        + "queue (HandlerOptions.Queue), or let a follow-up task continue instead of waiting");

    // The largest set of queues whose handlers all wait for tasks of the set alone.
    private bool IsStuck(string queue)
    {
        Dictionary<string, List<string[]>> full = [];
        foreach (QueueRuntime runtime in queues)
            if (runtime.WaitsOfAll() is { } waits) full.Add(runtime.Name, waits);
        while (full.FirstOrDefault(q => q.Value.Exists(waits => waits.Any(target => !full.ContainsKey(target)))) is { Key: { } moves })
            full.Remove(moves);
        return full.ContainsKey(queue);
    }
}
