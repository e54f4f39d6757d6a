using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// One attempt at one task: what is run, with which token, and what becomes of it. Used again for a worker's next task, so that running
// allocates nothing.

internal sealed class TaskRun(QueueContext context, TaskContext taskContext, HandlerCancellation cancellation, TaskCompletion completion,
    FailureHandler failures, IsolationGate isolation)
{
    private static readonly TimeSpan FlushTimeout = TimeSpan.FromSeconds(5);

    private long _completed;
    private long _failed;
    private long _starts;

    private TaskRegistration _registration = null!;
    private TaskInvoker _invoker = null!;
    private object? _task;
    private ReadOnlyMemory<byte> _payload;
    private WorkLease _lease;
    private bool _leased;
    private HeldMessage? _held;
    private DeliveryHistory _history;
    private ICrashEvidenceChannel? _evidence;
    private IsolationGate.Turn? _alone;
    private bool _began;
    private TaskMetadata? _metadata;

    internal long Completed => Volatile.Read(ref _completed);

    internal bool IsRunning => cancellation.IsRunning;

    /// <summary>Whether the task is kept on a route too; the last one's, when nothing runs.</summary>
    internal bool IsOnRoute => _leased || _held is not null;

    /// <summary>What the task carries; the last one's, when nothing runs.</summary>
    internal TaskMetadata? Metadata => _metadata;

    internal long Starts => Volatile.Read(ref _starts);

    internal long Failed => Volatile.Read(ref _failed);

    /// <summary>Fires the token of a task that runs here.</summary>
    /// <param name="id">Which one; <see langword="null"/> for whatever runs.</param>
    /// <param name="cause">Why.</param>
    /// <returns>Whether it runs here.</returns>
    internal bool Fire(TaskId? id, CancellationCause cause) => cancellation.Fire(id, cause);

    internal void Load(in QueuedTask task)
    {
        _task = task.Task;
        _leased = false;
        _metadata = task.Metadata;
        _held = _metadata?.Held;
        _history = default;
        Describe(task.Registration, context.Ids.At(task.Number), 1, RouteName.InProcess, task.EnqueuedMicroseconds);
        taskContext.Decoded = true;
    }

    internal void Load(DelayedTask task)
    {
        _task = task.Task;
        _leased = false;
        _metadata = task.Metadata;
        _held = null;
        _history = default;
        Describe(task.Registration, task.Id, task.AttemptsMade + 1, RouteName.InProcess, task.EnqueuedMicroseconds);
        taskContext.Decoded = true;
    }

    internal void Load(in ReceivedTask task)
    {
        _task = null;
        _payload = task.Payload;
        _lease = task.Lease;
        _leased = true;
        _held = null;
        _history = task.History;
        _evidence = task.Evidence;
        _metadata = task.Header.Metadata;
        Describe(task.Registration, task.Header.Id, task.Attempt, task.Route, task.Header.EnqueuedMicroseconds);
        taskContext.Decoded = false;
    }

    private void Describe(TaskRegistration registration, TaskId id, int attempt, RouteName route, long enqueued)
    {
        if (!ReferenceEquals(_registration, registration))
        {
            _registration = registration;
            _invoker = registration.Invoker;
            taskContext.Name = registration.Name;
            taskContext.MaxAttempts = registration.Retry.MaxAttempts;
        }

        taskContext.Id = id;
        taskContext.Attempt = attempt;
        taskContext.Route = route;
        taskContext.EnqueuedMicroseconds = enqueued;
        taskContext.SetResult(null); // What an earlier task left is nobody else's.
    }

    /// <summary>Calls the handler of the loaded task.</summary>
    internal ValueTask Start()
    {
        if (_history.HolderDied) return StartAloneAsync();
        _starts++;
        _held?.SetHandling(isolation.RunsSeveral ? WorkHandling.BesideOthers : WorkHandling.Alone);
        return StartNow();
    }

    // What killed the worker before is this task, or ran beside it.
    private async ValueTask StartAloneAsync()
    {
        context.Log.RunsAlone(taskContext.Name, taskContext.Id, taskContext.Attempt);
        _lease.SetHandling(WorkHandling.NotBegun);
        _alone = await isolation.EnterAsync(context.Lifetime.Abort).ConfigureAwait(false);
        _lease.SetHandling(WorkHandling.Alone);
        if (_evidence is { } evidence)
        {
            try
            {
                await evidence.BeginAloneAsync(_lease, context.Lifetime.Abort).ConfigureAwait(false);
            }
            catch (IOException)
            {
                // A death now would not count; the lease is lost meanwhile, or the route is back by then.
            }
        }

        await StartNow().ConfigureAwait(false);
    }

    // What ran alone is over at its route before anything else begins: else the next crash would take its end along.
    private static async Task EndAloneAsync(IsolationGate.Turn alone, ICrashEvidenceChannel? evidence)
    {
        try
        {
            using CancellationTokenSource timeout = new(FlushTimeout);
            if (evidence is not null) await evidence.FlushAsync(timeout.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // Known to the route later, or run again.
        }
        finally
        {
            alone.Dispose();
        }
    }

    private void EndAlone()
    {
        if (_alone is not { } alone) return;
        _alone = null;
        _ = EndAloneAsync(alone, _evidence);
    }

    private ValueTask StartNow()
    {
        CancellationToken cancellationToken = cancellation.Begin(taskContext.Id, _registration.Timeout);
        // What waited here as an object may have been cancelled or replaced where it is kept.
        _began = !cancellation.CheckRequests(taskContext.Id, isCancelled: _held is { IsCancelRequested: true });
        if (!_began) throw new OperationCanceledException("cancelled before it was started");
        return context.Telemetry.ObservesHandling || _metadata is { IsTraced: true } ? StartObservedAsync(cancellationToken)
            : Invoke(cancellationToken);
    }

    private ValueTask Invoke(CancellationToken cancellationToken) => _task is { } task
        ? _invoker.RunAsync(task, taskContext, cancellationToken)
        : _invoker.RunSerializedAsync(_payload, taskContext, cancellationToken);

    // With somebody watching.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask StartObservedAsync(CancellationToken cancellationToken)
    {
        long start = context.Clock.Timestamp;
        KeyValuePair<string, object?> task = _registration.NameTag, route = QueueTelemetry.RouteTag(taskContext.Route);
        context.Telemetry.Consumed(context.NameTag, task, route);
        context.Telemetry.Waited((context.Clock.Now - taskContext.EnqueuedMicroseconds) / 1e6, context.NameTag, task, route);
        using Activity? activity = QueueTelemetry.StartProcess(context.Name, taskContext, _metadata);
        Exception? failure = null;
        try
        {
            await Invoke(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = e is OperationCanceledException && cancellation.HasTimedOut ? TimedOut(e) : e;
            activity?.SetStatus(ActivityStatusCode.Error, failure.Message).SetTag("error.type", failure.GetType().FullName);
            throw;
        }
        finally
        {
            context.Telemetry.Processed(context.Clock.Provider.GetElapsedTime(start), failure, context.NameTag, task, route);
        }
    }

    /// <summary>Ends an attempt whose handler has returned.</summary>
    internal void Succeed()
    {
        EndSucceeded();
        EndAlone();
    }

    private void EndSucceeded()
    {
        _completed++;
        CancellationCause cause = cancellation.End();
        object? task = _task;
        _task = null;
        if (_metadata is { } metadata)
        {
            if (metadata is { TrackResult: true, Repeats: false } && (_leased || _held is not null))
            {
                HeldMessage held = _leased ? new HeldMessage(_lease, taskContext.Route) : _held!;
                object? result = taskContext.TakeResult();
                if (completion.TryEndKept(_registration, taskContext.Id, result, held)) return;
                taskContext.SetResult(result);
            }

            completion.Succeeded(_registration, taskContext.Id, metadata, metadata.TrackResult ? taskContext.TakeResult() : null,
                _leased || _held is not null ? HeldBy : null);
            if (metadata.Repeats)
            {
                completion.EndOccurrence(Describe(task, attemptsMade: 0), cause == CancellationCause.Cancelled);
                return;
            }
        }

        if (_leased)
        {
            if (!_lease.Complete()) completion.LeaseEnded(taskContext.Name, taskContext.Id);
        }
        else if (_held is { } held && !held.Complete())
        {
            completion.LeaseEnded(taskContext.Name, taskContext.Id);
        }
    }

    /// <summary>Ends an attempt whose handler threw.</summary>
    internal ValueTask FailAsync(Exception e)
    {
        if (_began) _failed++;
        _began = false;
        CancellationCause cause = cancellation.End();
        if (e is OperationCanceledException && cause == CancellationCause.TimedOut) e = TimedOut(e);
        DelayedTask task = Describe(_task, taskContext.Attempt);
        _task = null;
        ValueTask ending = failures.HandleAsync(task, e, cause == CancellationCause.Cancelled, taskContext.Decoded);
        EndAlone(); // What it waits for is a route, or a pause: no attempt.
        return ending;
    }

    private TimeoutException TimedOut(Exception e) =>
        new($"attempt {taskContext.Attempt} ran longer than {_registration.Timeout!.Value.TotalSeconds:0.###} s", e);

    private RouteName HeldBy => _leased ? taskContext.Route : _held!.Route;

    private DelayedTask Describe(object? task, int attemptsMade) => new()
    {
        Registration = _registration,
        Id = taskContext.Id,
        Task = task,
        AttemptsMade = attemptsMade,
        UnprovenAttempts = _history.UnprovenAttempts,
        EnqueuedMicroseconds = taskContext.EnqueuedMicroseconds,
        Metadata = _metadata,
        Held = _leased ? new HeldMessage(_lease, taskContext.Route) : _held,
    };
}
