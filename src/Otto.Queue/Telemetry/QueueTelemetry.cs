using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Otto.Queue;

// Traces and meters, by the OpenTelemetry messaging conventions. Every call is behind a look at whether anybody listens, so that silence
// costs nothing.

internal sealed class QueueTelemetry : IDisposable
{
    internal const string SourceName = "Otto.Queue";

    private static readonly ActivitySource Source = new(SourceName);
    private static readonly KeyValuePair<string, object?> System = new("messaging.system", "otto");

    private readonly Meter _meter = new(SourceName);
    private readonly Counter<long> _sent;
    private readonly Counter<long> _routed;
    private readonly Counter<long> _spilled;
    private readonly Counter<long> _consumed;
    private readonly Counter<long> _retried;
    private readonly Counter<long> _dead;
    private readonly Counter<long> _givenBack;
    private readonly Counter<long> _moved;
    private readonly Counter<long> _cancelled;
    private readonly Counter<long> _duplicates;
    private readonly Counter<long> _leasesLost;
    private readonly Counter<long> _handedOver;
    private readonly Histogram<double> _waited;
    private readonly Histogram<double> _processed;

    internal QueueTelemetry(Func<IEnumerable<Measurement<int>>> depth, Func<IEnumerable<Measurement<int>>> workers)
    {
        _sent = _meter.CreateCounter<long>("messaging.client.sent.messages", "{message}", "Tasks accepted.");
        _routed = _meter.CreateCounter<long>("otto.queue.route", "{message}", "Tasks accepted, by route and reason.");
        _spilled = _meter.CreateCounter<long>("otto.queue.spilled", "{message}",
            "Tasks that went to another route because the queue in the process was full.");
        _consumed = _meter.CreateCounter<long>("messaging.client.consumed.messages", "{message}", "Tasks given to a handler.");
        _retried = _meter.CreateCounter<long>("otto.queue.retried", "{message}", "Failed attempts that will be made again.");
        _dead = _meter.CreateCounter<long>("otto.queue.dead", "{message}", "Tasks given up.");
        _givenBack = _meter.CreateCounter<long>("otto.queue.given_back", "{message}", "Tasks leased for which no handler was here.");
        _moved = _meter.CreateCounter<long>("otto.queue.moved", "{message}",
            "Tasks moved on from a route without workers, by the route they went to.");
        _cancelled = _meter.CreateCounter<long>("otto.queue.cancelled", "{message}", "Tasks that ended here because they were cancelled.");
        _duplicates = _meter.CreateCounter<long>("otto.queue.duplicates", "{message}",
            "Tasks refused because another of their key is pending or running.");
        _leasesLost = _meter.CreateCounter<long>("otto.queue.leases.lost", "{message}",
            "Tasks that passed to another worker while they were held here: they may run twice.");
        _handedOver = _meter.CreateCounter<long>("otto.queue.handed_over", "{message}",
            "Tasks given to another route by a stop, by the route they went to.");
        _waited = _meter.CreateHistogram<double>("otto.queue.wait.duration", "s", "From enqueue to the start of the handler.");
        _processed = _meter.CreateHistogram<double>("messaging.process.duration", "s", "How long the handler took.");
        _meter.CreateObservableUpDownCounter("otto.queue.workers", workers, "{worker}",
            "Live workers other than this process, by queue and route, as last known.");
        _meter.CreateObservableUpDownCounter("otto.queue.depth", depth, "{message}", "Tasks that wait, by queue and route.");
    }

    internal bool ObservesSending => _sent.Enabled || _routed.Enabled || Source.HasListeners();

    internal bool TimesWaits => _waited.Enabled;

    internal bool ObservesHandling => _consumed.Enabled || _waited.Enabled || _processed.Enabled || Source.HasListeners();

    internal static KeyValuePair<string, object?> RouteTag(RouteName route) => new("otto.route", route.Value);

    internal static Activity? StartSend(string queue, string task)
    {
        if (!Source.HasListeners()) return null;
        Activity? activity = Source.StartActivity($"send {queue}", ActivityKind.Producer);
        return activity?.SetTag("messaging.system", "otto").SetTag("messaging.operation.type", "send").SetTag("messaging.destination.name",
            queue).SetTag("otto.task.name", task);
    }

    internal void Sent(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task, RouteName route, string reason)
    {
        if (_sent.Enabled) _sent.Add(1, System, queue, task);
        if (_routed.Enabled) _routed.Add(1, queue, RouteTag(route), new KeyValuePair<string, object?>("otto.reason", reason));
        if (_spilled.Enabled && reason.StartsWith(RouteReason.OverflowPrefix, StringComparison.Ordinal))
            _spilled.Add(1, queue, RouteTag(route));
        // Only on our own span: where nobody asked for one, the current span is the program's, or the task's that enqueues.
        if (Activity.Current is { Kind: ActivityKind.Producer } send && send.Source == Source)
            send.SetTag("otto.route", route.Value).SetTag("otto.reason", reason);
    }

    internal void Retried(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task)
    {
        if (_retried.Enabled) _retried.Add(1, queue, task);
    }

    internal void Dead(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task)
    {
        if (_dead.Enabled) _dead.Add(1, queue, task);
    }

    internal void GivenBack(KeyValuePair<string, object?> queue)
    {
        if (_givenBack.Enabled) _givenBack.Add(1, queue);
    }

    internal void Cancelled(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task)
    {
        if (_cancelled.Enabled) _cancelled.Add(1, queue, task);
    }

    internal void Duplicate(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task, RouteName route)
    {
        if (_duplicates.Enabled) _duplicates.Add(1, queue, task, RouteTag(route));
    }

    internal void LeaseLost(KeyValuePair<string, object?> queue)
    {
        if (_leasesLost.Enabled) _leasesLost.Add(1, queue);
    }

    internal void HandedOver(KeyValuePair<string, object?> queue, RouteName route)
    {
        if (_handedOver.Enabled) _handedOver.Add(1, queue, RouteTag(route));
    }

    internal void Moved(KeyValuePair<string, object?> queue, RouteName from, RouteName to, int count)
    {
        if (_moved.Enabled) _moved.Add(count, queue, RouteTag(to), new KeyValuePair<string, object?>("otto.route.from", from.Value));
    }

    internal void Consumed(KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task, KeyValuePair<string, object?> route)
    {
        if (_consumed.Enabled) _consumed.Add(1, System, queue, task, route);
    }

    internal void Waited(double seconds, KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task,
        KeyValuePair<string, object?> route)
    {
        if (_waited.Enabled) _waited.Record(Math.Max(0, seconds), queue, task, route);
    }

    /// <summary>Starts the span of an attempt.</summary>
    internal static Activity? StartProcess(string queue, TaskContext context, TaskMetadata? metadata)
    {
        Activity.Current = null; // What the worker ran before is not this task's parent.
        Activity? activity = StartSampled(queue, context, metadata?.Trace ?? default);
        if (metadata is not { IsTraced: true }) return activity;
        activity ??= StartUnsampled(queue, metadata.Trace);
        if (metadata.Baggage is { } baggage) TraceBaggage.AddTo(activity, baggage);
        return activity;
    }

    // Nobody records it: the producer's context is there for what the handler calls.
    private static Activity StartUnsampled(string queue, ActivityContext producer)
    {
        Activity activity = new($"process {queue}");
        if (producer != default)
        {
            activity.SetParentId(producer.TraceId, producer.SpanId, producer.TraceFlags);
            activity.TraceStateString = producer.TraceState;
        }

        return activity.Start();
    }

    private static Activity? StartSampled(string queue, TaskContext context, ActivityContext producer)
    {
        if (!Source.HasListeners()) return null;
        Activity? activity =
            Source.StartActivity($"process {queue}", ActivityKind.Consumer, producer,
                links: producer == default ? null : [new ActivityLink(producer)]);
        return activity?.SetTag("messaging.system", "otto").SetTag("messaging.operation.type", "process").SetTag(
            "messaging.destination.name", queue)
            .SetTag("messaging.message.id", context.Id.ToString()).SetTag("otto.task.name", context.Name).SetTag("otto.route",
                context.Route.Value).SetTag("otto.attempt", context.Attempt);
    }

    internal void Processed(TimeSpan time, Exception? failure, KeyValuePair<string, object?> queue, KeyValuePair<string, object?> task,
        KeyValuePair<string, object?> route)
    {
        if (!_processed.Enabled) return;
        if (failure is null) _processed.Record(time.TotalSeconds, queue, task, route);
        else _processed.Record(time.TotalSeconds, queue, task, route,
            new KeyValuePair<string, object?>("error.type", failure.GetType().FullName));
    }

    public void Dispose() => _meter.Dispose();
}
