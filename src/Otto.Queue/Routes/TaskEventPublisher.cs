using System.Collections.Concurrent;
using System.Text;

namespace Otto.Queue;

// Publishes a queue's events on its routes, beside the tasks. Publishing never holds up a worker, and an event that cannot be published is
// only logged.

internal sealed class TaskEventPublisher(QueueContext context, RouteConnections routes)
{
    private static readonly TimeSpan FlushTimeout = TimeSpan.FromSeconds(5), FlushCheck = TimeSpan.FromMilliseconds(50);

    private const int MostPublishedAtOnce = 1000;

    private readonly ConcurrentDictionary<Task, bool> _results = new();
    private int _publishing;

    /// <summary>Publishes an event on every route on which others may listen.</summary>
    /// <param name="message">The event.</param>
    /// <param name="resultOf">The task whose result it is; a stop waits for results.</param>
    /// <param name="only">The one route to publish on; <see langword="null"/> for all.</param>
    internal void Publish(byte[] message, TaskId? resultOf = null, RouteName? only = null)
    {
        foreach (RouteConnection route in routes.All)
        {
            if (route.Events is not { } events || only is { } one && one != route.Name) continue;
            // Bounded: where a route is slow, progress is what can be missed.
            if (Interlocked.Increment(ref _publishing) > MostPublishedAtOnce && resultOf is null) Interlocked.Decrement(ref _publishing);
            else KeepUntilPublished(PublishAsync(route.Name, events, message, resultOf), resultOf);
        }
    }

    /// <summary>Waits, before a stop, until results that are on their way have arrived; not for a route that is, or
    /// becomes, unavailable.</summary>
    internal async ValueTask FlushAsync()
    {
        if (_results.IsEmpty) return;
        Task arrived = Task.WhenAll(_results.Keys), late = Task.Delay(FlushTimeout);
        while (!arrived.IsCompleted && !late.IsCompleted && !routes.All.Any(static r => r.Channel.Status is not null))
            await arrived.WaitAsync(FlushCheck).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void KeepUntilPublished(Task publishing, TaskId? resultOf)
    {
        if (resultOf is null || publishing.IsCompleted) return;
        _results.TryAdd(publishing, true);
        publishing.ContinueWith(static (published, results) => ((ConcurrentDictionary<Task, bool>)results!).TryRemove(published, out _),
            _results, TaskScheduler.Default);
    }

    // A result that cannot be published, because it is too large: whoever waits for it learns that.
    private static async Task PublishFailureAsync(IEventChannel events, byte[] message, TaskId id, Exception e)
    {
        try
        {
            await events.NotifyAsync(TaskEvent.Result(id, ResultStatus.Failed, 0, Encoding.UTF8.GetBytes(
                $"the task completed, but its result of {message.Length:N0} bytes cannot be published: {e.Message}")), id).ConfigureAwait(
                    false);
        }
        catch (Exception again) when (again is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException
            or OperationCanceledException)
        {
            // The route is down; the first failure was logged.
        }
    }

    private async Task PublishAsync(RouteName route, IEventChannel events, byte[] message, TaskId? resultOf)
    {
        try
        {
            await events.NotifyAsync(message, resultOf).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException
            or OperationCanceledException)
        {
            if (!context.Lifetime.IsStopping) context.Log.NoticesFailed(context.Name, route, e);
            if (resultOf is { } id && e is IOException or ArgumentException)
                await PublishFailureAsync(events, message, id, e).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _publishing);
        }
    }
}
