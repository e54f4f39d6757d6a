using System.Collections.Concurrent;

namespace Otto.Queue;

// A lane's end of the notices: hears those of its routes, and tells on them. Telling never holds up a worker, and a notice that cannot be told is only logged.

internal sealed class TaskEventBus(Lane lane)
{
    private static readonly TimeSpan FlushPatience = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Task, bool> _results = new();
    private int _tellingNow;
    private int _listening;

    private const int MostToldAtOnce = 1000;

    /// <summary>Hears what others tell: workers for cancels, producers for results and progress.</summary>
    internal async ValueTask ListenAsync()
    {
        if (Volatile.Read(ref _listening) == 2) return;
        foreach (RouteConnection route in lane.Routes)
        {
            try
            {
                await route.Channel.ListenAsync(Hear).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException)
            {
                lane.Log.NoticesFailed(lane.Name, route.Route.Route, e);
            }
        }

        Volatile.Write(ref _listening, 2);
    }

    /// <summary>Tells others, on every route that they may listen on.</summary>
    internal void Tell(byte[] notice, TaskId? resultOf = null, Route? only = null)
    {
        foreach (RouteConnection route in lane.Routes)
        {
            if (!route.Channel.CarriesEvents || only is { } one && one != route.Route.Route) continue;
            // Bounded: where a route is slow, progress is what can be missed.
            if (Interlocked.Increment(ref _tellingNow) > MostToldAtOnce && resultOf is null) Interlocked.Decrement(ref _tellingNow);
            else KeepUntilTold(TellAsync(route, notice, resultOf), resultOf);
        }
    }

    private void KeepUntilTold(Task telling, TaskId? resultOf)
    {
        if (resultOf is null || telling.IsCompleted) return;
        _results.TryAdd(telling, true);
        telling.ContinueWith(static (told, results) => ((ConcurrentDictionary<Task, bool>)results!).TryRemove(told, out _), _results, TaskScheduler.Default);
    }

    /// <summary>Waits, before a stop, until results that are on their way have arrived; not for a route that is out of reach.</summary>
    internal async ValueTask FlushAsync()
    {
        if (_results.IsEmpty || lane.Routes.Any(static r => r.Channel.Status is not null)) return;
        await Task.WhenAll(_results.Keys).WaitAsync(FlushPatience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task TellAsync(RouteConnection route, byte[] notice, TaskId? resultOf)
    {
        try
        {
            await route.Channel.NotifyAsync(notice, resultOf).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException or OperationCanceledException)
        {
            if (lane.State < QueueState.Draining) lane.Log.NoticesFailed(lane.Name, route.Route.Route, e);
        }
        finally
        {
            Interlocked.Decrement(ref _tellingNow);
        }
    }

    internal void Hear(ReadOnlyMemory<byte> notice)
    {
        if (!TaskEvent.TryRead(notice.Span, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body)) return;
        switch (kind)
        {
            case TaskEventKind.Cancel:
                // Noted first: who takes the task a moment later, or again after a failure, passes over it.
                lane.Cancels.AddHeard(id);
                if (lane.FireRunning(id, CancellationCause.Cancelled)) lane.Cancels.TryTake(id);
                break;
            case TaskEventKind.Result:
                lane.Owner.Results.Hear(id, body);
                lane.Progress.End(id);
                break;
            case TaskEventKind.Progress:
                lane.Progress.Hear(TaskEvent.ReadProgress(id, body));
                break;
        }
    }
}
