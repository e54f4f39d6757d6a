using System.Diagnostics;

namespace Otto.Queue.Conformance;

// What a producer's span carries reaches the handler, whether anybody listens or not.

public abstract partial class TaskConformance
{
    [Test]
    [NonParallelizable]
    public async Task The_state_and_the_baggage_of_a_trace_reach_the_handler([Values] bool recorded)
    {
        TaskCompletionSource<(ActivityTraceId Trace, string? State, string? Tenant, string? Text, ActivityTraceFlags Flags)> inside = new();
        (TaskQueue producer, _) = await StartAsync((_, _, _) =>
        {
            Activity? current = Activity.Current;
            inside.TrySetResult((current?.TraceId ?? default, current?.TraceStateString, current?.GetBaggageItem("tenant"),
                current?.GetBaggageItem("text"), current?.ActivityTraceFlags ?? default));
            return default;
        });
        using Activity root = new("root");
        root.ActivityTraceFlags = recorded ? ActivityTraceFlags.Recorded : ActivityTraceFlags.None;
        root.TraceStateString = "vendor=1,other=2";
        root.AddBaggage("tenant", "contoso");
        root.AddBaggage("text", "a, b; c=d é");
        root.Start();
        await producer.EnqueueAsync(new Job(1));
        Assert.That(await inside.Task.WaitAsync(Watchdog),
            Is.EqualTo((root.TraceId, "vendor=1,other=2", "contoso", "a, b; c=d é", root.ActivityTraceFlags)));
    }

    [Test]
    public async Task State_and_baggage_that_are_too_long_lose_entries_and_no_task()
    {
        TaskCompletionSource<(int State, int Baggage, string? First)> inside = new();
        (TaskQueue producer, _) = await StartAsync((_, _, _) =>
        {
            inside.TrySetResult((Activity.Current!.TraceStateString?.Length ?? 0,
                Activity.Current.Baggage.Sum(static b => b.Key.Length + b.Value!.Length),
                Activity.Current.GetBaggageItem("first")));
            return default;
        });
        using Activity root = new("root");
        root.TraceStateString = string.Join(',', Enumerable.Range(0, 200).Select(static i => $"vendor{i}={i}"));
        for (int i = 0; i < 300; i++) root.AddBaggage($"key{i}", new string('x', 1000));
        root.AddBaggage("first", "kept");
        root.Start();
        await producer.EnqueueAsync(new Job(1));
        (int state, int baggage, string? first) = await inside.Task.WaitAsync(Watchdog);
        Assert.That(state, Is.InRange(400, 512));
        Assert.That(baggage, Is.InRange(6000, 8192));
        Assert.That(first, Is.EqualTo("kept"));
    }
}
