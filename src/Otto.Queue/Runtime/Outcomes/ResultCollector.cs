using System.Collections.Concurrent;
using System.Diagnostics;

namespace Otto.Queue;

// Brings the results that are waited for from the routes to this process. An event says that a result may be there, and any event can be
// missed: each result is asked for when its wait begins, when its event comes, and now and then.

internal sealed class ResultCollector(QueueContext context, IReadOnlyList<TaskRegistration> tasks, RouteConnections routes,
    PendingResults results, ProgressHub progress)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1), SoonPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    private const int MostAskedAtOnce = 1024;

    /// <summary>A pass over all waits is followed by so many times as long a pause.</summary>
    private const int PausePerPass = 5;

    private readonly ConcurrentDictionary<Wait, TaskId> _waits = new();
    private TaskCompletionSource _soon = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running;
    private bool _missed;
    private bool _collects;

    /// <summary>Asks for a result, now and then, until it has come or the answer is disposed.</summary>
    /// <param name="id">The task.</param>
    /// <param name="mayBeGone">Whether the wait ends where no route has the task or its result.</param>
    internal IDisposable Start(TaskId id, bool mayBeGone)
    {
        Wait wait = new(_waits)
            { MayBeGone = mayBeGone, Pause = Period, DueAt = Environment.TickCount64 + (long)Period.TotalMilliseconds };
        _waits[wait] = id;
        // At once where the route answers at once; otherwise beside the wait.
        _ = AskAsync(id, wait, all: true, context.Lifetime.Stopping).AsTask();
        if (results.Expects(id)) EnsureRunning();
        return wait;
    }

    /// <summary>Notes that a task with a result was sent: its result may have to be taken out for its room.</summary>
    internal void OnTracked() => EnsureRunning();

    /// <summary>Takes a result that a route is said to keep, if a caller waits for it or its room is needed.</summary>
    /// <param name="id">The task.</param>
    /// <param name="route">The route.</param>
    internal void OnReady(TaskId id, RouteName route)
    {
        bool mustCollect = MustCollect;
        // The first result for which there is hardly any room: those before it, which nobody waits for, make way too.
        if (mustCollect && !Volatile.Read(ref _collects)) LookSoon();
        Volatile.Write(ref _collects, mustCollect);
        if (results.IsAwaited(id) || (mustCollect && results.Expects(id))) TakeKept(id, kept => kept.Name == route);
        else progress.End(id);
    }

    /// <summary>Asks for all results soon: events may have been missed.</summary>
    internal void OnMissed()
    {
        Volatile.Write(ref _missed, true);
        LookSoon();
    }

    private void LookSoon()
    {
        Volatile.Read(ref _soon).TrySetResult();
        EnsureRunning();
    }

    /// <summary>Takes the results out that were asked for here, where they take the room
    /// that a task waits for.</summary>
    internal void MakeRoom()
    {
        // No more than needed: what is taken out only this process has.
        foreach (TaskId id in results.Outstanding)
        {
            if (!MustCollect) return;
            TakeKept(id, static route => route.Results is { MustCollect: true });
        }
    }

    private bool MustCollect
    {
        get
        {
            foreach (RouteConnection route in routes.All)
                if (route.Results is { KeepsResults: true, MustCollect: true }) return true;
            return false;
        }
    }

    private void EnsureRunning()
    {
        if (Interlocked.Exchange(ref _running, 1) == 0) _ = Task.Run(RunAsync);
    }

    private async Task RunAsync()
    {
        try
        {
            TimeSpan pause = Period;
            while (!context.Lifetime.Stopping.IsCancellationRequested && (!_waits.IsEmpty || results.Outstanding.Any()))
            {
                await _soon.Task.WaitAsync(pause, context.Lifetime.Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (_soon.Task.IsCompleted)
                    await Task.Delay(SoonPause, context.Lifetime.Stopping).ConfigureAwait(false); // Once for many.
                // Before the pass: what is missed from now on is looked for in the next.
                if (_soon.Task.IsCompleted)
                    Volatile.Write(ref _soon, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                long start = Stopwatch.GetTimestamp();
                await AskAllAsync(Interlocked.Exchange(ref _missed, false)).ConfigureAwait(false);
                MakeRoom();
                TimeSpan took = Stopwatch.GetElapsedTime(start) * PausePerPass;
                pause = took > Period ? took : Period;
                // The pause after a long pass holds for an early one too.
                if (took > SoonPause) await Task.Delay(took < Period ? took : Period, context.Lifetime.Stopping).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Stopping: all waits end.
        }
        finally
        {
            Volatile.Write(ref _running, 0);
            // One that began meanwhile found us running.
            if (!_waits.IsEmpty && !context.Lifetime.Stopping.IsCancellationRequested) EnsureRunning();
        }
    }

    // Some at a time: a route over the network has one answer for many.
    private async Task AskAllAsync(bool all)
    {
        List<Task> asking = [];
        foreach ((Wait wait, TaskId id) in _waits)
        {
            ValueTask one = AskAsync(id, wait, all, context.Lifetime.Stopping);
            if (!one.IsCompletedSuccessfully) asking.Add(one.AsTask());
            if (asking.Count < MostAskedAtOnce) continue;
            await Task.WhenAll(asking).ConfigureAwait(false);
            asking.Clear();
        }

        await Task.WhenAll(asking).ConfigureAwait(false);
    }

    private async ValueTask AskAsync(TaskId id, Wait wait, bool all, CancellationToken stop)
    {
        if (!results.Expects(id)) return;
        bool due = all || Environment.TickCount64 >= wait.DueAt, goneEverywhere = wait.MayBeGone, isAsked = true;
        foreach (RouteConnection route in routes.All)
        {
            if (route.Results is not { } kept)
            {
                goneEverywhere = false;
                continue;
            }

            // A route over the network is asked less and less often.
            if (!due && (!kept.KeepsResults || route.Channel.UsesNetwork)) isAsked = false;
            else goneEverywhere &= await TryTakeAsync(route, kept, id, stop).ConfigureAwait(false);
        }

        if (due && !all)
        {
            wait.Pause = wait.Pause < LongestPause ? wait.Pause * 2 : LongestPause;
            wait.DueAt = Environment.TickCount64 + (long)wait.Pause.TotalMilliseconds;
        }

        if (!goneEverywhere) wait.Gone = 0;
        // A task that goes from one route to another is on both, or on the second; so gone twice is gone.
        else if (isAsked && ++wait.Gone >= 2) results.Lose(id);
        else if (isAsked) wait.DueAt = 0; // With the next pass.
    }

    private void TakeKept(TaskId id, Func<RouteConnection, bool> isMeant)
    {
        foreach (RouteConnection route in routes.All)
        {
            if (route.KeepsResults && isMeant(route)) _ = TryTakeAsync(route, route.Results!, id, CancellationToken.None).AsTask();
        }
    }

    /// <summary>Asks one route.</summary>
    /// <returns>Whether the route has neither the task nor its result.</returns>
    private async ValueTask<bool> TryTakeAsync(RouteConnection route, IResultChannel kept, TaskId id, CancellationToken stop)
    {
        try
        {
            ResultLookup found = await kept.FindResultAsync(id, stop).ConfigureAwait(false);
            if (found.Event is { } message && TaskEvent.TryRead(message.Span, out TaskEventKind kind, out _, out ReadOnlySpan<byte> body)
                && kind == TaskEventKind.Result)
            {
                results.ReceiveTaken(id, body, tasks);
                progress.End(id);
            }

            return found.IsGone;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Asked again after the next pause.
            context.Log.ResultLookupFailed(context.Name, route.Name, id, e);
            return false;
        }
    }

    private sealed class Wait(ConcurrentDictionary<Wait, TaskId> waits) : IDisposable
    {
        internal required bool MayBeGone { get; init; }

        internal required TimeSpan Pause { get; set; }

        internal required long DueAt { get; set; }

        internal int Gone { get; set; }

        public void Dispose() => waits.TryRemove(this, out _);
    }
}
