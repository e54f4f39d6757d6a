using Microsoft.Extensions.Logging;

namespace Otto.Queue;

// Everything that the queue logs, in one place: event ids are stable, so that alerts can be set on them.

internal sealed partial class QueueLog(ILogger logger)
{
    private readonly ILogger _logger = logger;

    [LoggerMessage(1, LogLevel.Information, "Queue '{Queue}' runs with {Concurrency} workers for {Tasks}; routes: {Routes}")]
    internal partial void Started(string queue, int concurrency, string tasks, string routes);

    [LoggerMessage(2, LogLevel.Information, "Queue '{Queue}' stopped after {ElapsedMilliseconds:0} ms: {Completed} completed meanwhile, "
        + "handed over: {HandedOver}, lost: {Lost}, still running: {StillRunning}")]
    internal partial void Stopped(string queue, double elapsedMilliseconds, long completed, string handedOver, int lost, int stillRunning);

    [LoggerMessage(3, LogLevel.Warning,
        "Task '{Task}' {Id} failed in attempt {Attempt} of {Limit}; tried again in {DelayMilliseconds:0} ms")]
    internal partial void Retrying(string task, TaskId id, int attempt, int limit, double delayMilliseconds, Exception error);

    [LoggerMessage(4, LogLevel.Error, "Task '{Task}' {Id} failed for the last time and is now a dead letter: {Reason}")]
    internal partial void GaveUp(string task, TaskId id, string reason, Exception error);

    [LoggerMessage(5, LogLevel.Error, "Task '{Task}' {Id} failed for the last time, and no route could keep it as a dead letter: {Reason}")]
    internal partial void GaveUpUnkept(string task, TaskId id, string reason, Exception error);

    [LoggerMessage(6, LogLevel.Error, "A message in queue '{Queue}' on {Route} cannot be run and is now a dead letter: {Reason}")]
    internal partial void Unreadable(string queue, RouteName route, string reason);

    [LoggerMessage(7, LogLevel.Warning, "No handler here for task '{Task}', received from queue '{Queue}' on {Route}: returned without "
        + "counting an attempt; logged once per name")]
    internal partial void NoHandler(string queue, string task, RouteName route);

    [LoggerMessage(8, LogLevel.Error, "Queue '{Queue}' cannot receive from {Route}; retried in one second")]
    internal partial void RouteFailed(string queue, RouteName route, Exception error);

    [LoggerMessage(9, LogLevel.Warning, "An attempt of task '{Task}' {Id} ended after its lease had: it may run again elsewhere")]
    internal partial void LeaseEnded(string task, TaskId id);

    [LoggerMessage(10, LogLevel.Error, "Task '{Task}' {Id} could not be transferred to {Route}")]
    internal partial void HandOverFailed(string task, TaskId id, RouteName route, Exception error);

    [LoggerMessage(11, LogLevel.Error,
        "{Count} tasks of queue '{Queue}' are lost at this stop: no route could take them; the first is '{Task}' {Id}")]
    internal partial void LostAtStop(int count, string queue, string task, TaskId id);

    [LoggerMessage(12, LogLevel.Error, "Unexpected error in a worker of queue '{Queue}' after its task completed")]
    internal partial void WorkerError(string queue, Exception error);

    [LoggerMessage(13, LogLevel.Warning, "Queue '{Queue}' lost {Route}: {Error}; its tasks wait or take another route")]
    internal partial void RouteLost(string queue, RouteName route, string error);

    [LoggerMessage(14, LogLevel.Information, "Route {Route} of queue '{Queue}' is available again")]
    internal partial void RouteBack(string queue, RouteName route);

    [LoggerMessage(15, LogLevel.Information, "Queue '{Queue}': {Count} tasks moved from {From}, where no worker is left, to {To}")]
    internal partial void Moved(string queue, int count, RouteName from, RouteName to);

    [LoggerMessage(16, LogLevel.Warning, "Task {Id} of queue '{Queue}' passed to another worker while it was held here: it may run twice")]
    internal partial void LeaseLost(string queue, TaskId id);

    [LoggerMessage(17, LogLevel.Information, "Task '{Task}' {Id} was cancelled")]
    internal partial void Cancelled(string task, TaskId id);

    [LoggerMessage(18, LogLevel.Warning, "Task '{Task}' {Id}, which recurs, failed; it is due again in {Seconds:0.###} s")]
    internal partial void RecurringFailed(string task, TaskId id, double seconds, Exception error);

    [LoggerMessage(19, LogLevel.Warning,
        "Queue '{Queue}' cannot publish or receive events on {Route}; cancellations, results or progress may not arrive")]
    internal partial void NoticesFailed(string queue, RouteName route, Exception error);

    [LoggerMessage(20, LogLevel.Warning,
        "Shared memory is not available on this system; tasks stay in this process unless another route was added")]
    internal partial void SharedMemoryMissing();

    [LoggerMessage(24, LogLevel.Error, "Queue '{Queue}' has no room on {Route}, and works without that route until it is started again")]
    internal partial void RouteNotOpened(string queue, RouteName route, Exception error);

    [LoggerMessage(23, LogLevel.Warning, "Task {Id} of queue '{Queue}' on {Route} cannot be read here ({Reason}); offered to other workers "
        + "in {Seconds:0.###} s")]
    internal partial void OffersUnread(string queue, TaskId id, RouteName route, string reason, double seconds);

    [LoggerMessage(22, LogLevel.Error, "Queue '{Queue}': the services were disposed before the queue was stopped; it begins no more tasks, "
        + "and returns those that it holds without counting an attempt")]
    internal partial void ServicesGone(string queue, Exception error);

    [LoggerMessage(21, LogLevel.Information,
        "Task '{Task}' {Id} was running when its worker died; attempt {Attempt} runs with no other task beside it in this process")]
    internal partial void RunsAlone(string task, TaskId id, int attempt);

    [LoggerMessage(41, LogLevel.Debug, "Queue '{Queue}': {Route} could not be asked for the result of task {Id}; it is asked again")]
    internal partial void ResultLookupFailed(string queue, RouteName route, TaskId id, Exception error);

    [LoggerMessage(43, LogLevel.Warning, "Queue '{Queue}' on {Route}: {Warning}")]
    internal partial void RouteWarning(string queue, RouteName route, string warning);

    [LoggerMessage(42, LogLevel.Warning, "Queue '{Queue}': the result of task {Id} could not be kept; its producer is notified")]
    internal partial void ResultNotKept(string queue, TaskId id, Exception error);
}
