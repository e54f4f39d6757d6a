using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using System.Runtime.CompilerServices;
using Otto.Queue;

// Which types of the library one durable task with a result runs code of. The runtime reports each method when it is compiled, which is
// when it first runs. Writes "started TYPE" for what ran before the task, "ran TYPE" for what ran from then on, and "recorded" at the end.

internal sealed class FlowRecorder : EventListener
{
    private const EventKeywords Jit = (EventKeywords)0x10;

    private readonly ConcurrentQueue<string> _methods = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _seen = new();

    internal static async Task RunAsync(string mode, string directory, string name)
    {
        using FlowRecorder recorder = new();
        TaskQueueOptions options = new();
        options.UseSharedMemory(s => s.Directory = directory);
        if (mode == "flow-work") options.AddHandler<string, string>(name, static (task, _, _) => new($"{task} is done"));
        else options.AddProducer<string>(name);
        await using TaskQueue queue = new(options);
        await queue.StartAsync();
        Begin();
        await recorder.ReportsAsync(nameof(Begin));
        if (mode == "flow-work")
        {
            await Console.Out.WriteLineAsync("ready");
            await Task.Run(Console.In.ReadLine);
        }
        else
        {
            EnqueueOptions asked = new() { Durability = Durability.Process, TrackResult = true };
            TaskReceipt receipt = await queue.EnqueueAsync("photo", asked);
            await Console.Out.WriteLineAsync($"result {await queue.WaitAsync<string>(receipt)}");
        }

        End();
        await recorder.ReportsAsync(nameof(End));
        recorder.Write();
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "Microsoft-Windows-DotNETRuntime") EnableEvents(eventSource, EventLevel.Verbose, Jit);
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (eventData.EventName?.StartsWith("MethodLoadVerbose", StringComparison.Ordinal) != true) return;
        string type = Value(eventData, "MethodNamespace"), method = Value(eventData, "MethodName");
        if (type == nameof(FlowRecorder) && method is nameof(Begin) or nameof(End)) _methods.Enqueue(method);
        else if (type.StartsWith("Otto.", StringComparison.Ordinal)) _methods.Enqueue($"{type} {method}");
        if (type == nameof(FlowRecorder)) Seen(method).TrySetResult();
    }

    private static string Value(EventWrittenEventArgs eventData, string name) =>
        (string)eventData.Payload![eventData.PayloadNames!.IndexOf(name)]!;

    private TaskCompletionSource Seen(string method) =>
        _seen.GetOrAdd(method, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

    // Events come later than what they report, in order.
    private Task ReportsAsync(string method) => Seen(method).Task.WaitAsync(TimeSpan.FromSeconds(60));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Begin()
    {
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void End()
    {
    }

    private void Write()
    {
        HashSet<string> known = [];
        bool begun = false;
        foreach (string method in _methods)
        {
            if (method == nameof(Begin)) begun = true;
            else if (method == nameof(End)) break;
            // Only the first report of a method counts: a later one is for code that was optimised.
            else if (known.Add(method)) Console.Out.WriteLine($"{(begun ? "ran" : "started")} {method.Split(' ')[0]}");
        }

        Console.Out.WriteLine("recorded");
    }
}
