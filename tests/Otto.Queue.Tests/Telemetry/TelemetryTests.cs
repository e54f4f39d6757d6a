using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Telemetry;

/// <summary>What a listener sees.</summary>
[NonParallelizable]
internal sealed class TelemetryTests : QueueTest
{
    [Test]
    public async Task A_trace_goes_from_producer_to_handler_on_every_route()
    {
        ConcurrentQueue<Activity> ended = new();
        using ActivityListener listener = new()
        {
            ShouldListenTo = static s => s.Name == "Otto.Queue",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));

        foreach (RouteName route in new[] { RouteName.InProcess, RouteName.SharedMemory })
            await queue.EnqueueAsync(new Job(1), new() { Route = route });
        await Eventually.Holds(() => ended.Count == 4);

        Activity[] sends = [.. ended.Where(static a => a.OperationName == "send jobs")];
        Activity[] processes = [.. ended.Where(static a => a.OperationName == "process jobs")];
        Assert.That(processes.Select(static p => p.TraceId), Is.EquivalentTo(sends.Select(static s => s.TraceId)));
        Assert.That(processes.Select(static p => p.Links.Single().Context.SpanId), Is.EquivalentTo(sends.Select(static s => s.SpanId)));
        Assert.That(processes.Select(static p => p.GetTagItem("otto.route")), Is.EquivalentTo(new[] { "InProcess", "SharedMemory" }));
    }

    [Test]
    public async Task A_span_of_the_program_is_not_written_to()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        using Activity own = new Activity("of the program").Start();
        await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        Assert.That(own.TagObjects, Is.Empty);
    }

    [Test]
    public async Task The_meter_counts_what_was_sent_by_which_route_and_what_was_done()
    {
        ConcurrentQueue<(string Name, double Value, string Tags)> seen = new();
        using MeterListener listener = new() { InstrumentPublished = static (i, l) => { if (i.Meter.Name == "Otto.Queue")
            l.EnableMeasurementEvents(i); } };
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => seen.Enqueue((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => seen.Enqueue((i.Name, v, Text(tags))));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => seen.Enqueue((i.Name, v, Text(tags))));
        listener.Start();
        TaskCompletionSource open = new(), started = new();
        TaskQueue queue = await StartAsync(Options().UseInProcess(o => o.Capacity = 1).AddHandler<Job>("jobs", async (_, _, _) =>
        {
            started.TrySetResult();
            await open.Task;
        }, h => h.Concurrency = 1));

        await queue.EnqueueAsync(new Job(1));
        await started.Task.Soon();
        for (int i = 0; i < 2; i++) await queue.EnqueueAsync(new Job(i));
        listener.RecordObservableInstruments();
        open.SetResult();
        await Eventually.Holds(() => seen.Count(static s => s.Name == "messaging.process.duration") == 3);

        Assert.That(seen.Count(static s => s.Name == "messaging.client.sent.messages"), Is.EqualTo(3));
        Assert.That(seen.Count(static s => s.Name == "messaging.client.consumed.messages"), Is.EqualTo(3));
        Assert.That(seen.Count(static s => s.Name == "otto.queue.wait.duration"), Is.EqualTo(3));
        Assert.That(seen.Count(static s => s.Name == "otto.queue.spilled"), Is.EqualTo(1));
        Assert.That(seen, Has.Some.Matches<(string Name, double Value, string Tags)>(
            static s => s.Name == "otto.queue.route" && s.Tags.Contains("spilled: the queue here is full (1)", StringComparison.Ordinal)));
        Assert.That(seen.Count(static s => s.Name == "otto.queue.depth" && s.Value == 1), Is.EqualTo(2));
    }

    private static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        string.Join(";", tags.ToArray().Select(static t => $"{t.Key}={t.Value}"));
}
