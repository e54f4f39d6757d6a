using System.Diagnostics;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Waiting;

// What a process costs that waits in every way there is and gets nothing. The kernel counts, over all threads; beside it stands a process
// of the same runtime that waits for a line of input and nothing else.

internal static class IdleScenario
{
    private const int WindowSeconds = 5;
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(15);

    public static void Cost(Report report, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        using BenchmarkProcess waiting = new BenchmarkProcess("idle-wait", directory.Path);
        using BenchmarkProcess bare = new BenchmarkProcess("idle-bare");
        Thread.Sleep(Settling); // the runtime's own start: tiered compilation, the finalizer
        List<double> cpu = [], wakes = [], bareCpu = [], bareWakes = [];
        for (int run = 0; run < runs; run++)
        {
            ProcessCounters before = ProcessCounters.Of(waiting.Id), bareBefore = ProcessCounters.Of(bare.Id);
            long start = Stopwatch.GetTimestamp();
            Thread.Sleep(TimeSpan.FromSeconds(WindowSeconds));
            ProcessCounters after = ProcessCounters.Of(waiting.Id), bareAfter = ProcessCounters.Of(bare.Id);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            cpu.Add(Math.Round((after.CpuSeconds - before.CpuSeconds) / seconds * 100, 4));
            wakes.Add(Math.Round((after.Switches - before.Switches) / seconds, 2));
            bareCpu.Add(Math.Round((bareAfter.CpuSeconds - bareBefore.CpuSeconds) / seconds * 100, 4));
            bareWakes.Add(Math.Round((bareAfter.Switches - bareBefore.Switches) / seconds, 2));
        }

        waiting.CloseInput();
        bare.CloseInput();
        Add("idle.cpu", "% of a core", cpu, bareCpu);
        Add("idle.wakeups", "a second", wakes, bareWakes);

        void Add(string scenario, string unit, List<double> ours, List<double> peers) => report.Add(new Result
        {
            Scenario = scenario,
            Transport = "mmap",
            Mode = "queue, stream, topic",
            Bytes = 0,
            Value = Result.Median(ours),
            Unit = unit,
            Runs = ours,
            Peer = Result.Median(peers),
            PeerName = "a bare runtime",
        });
    }

    /// <summary>The peer: waits in every way, for nothing, until its input ends.</summary>
    public static void Wait(string directory)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using WorkQueue queue = transport.OpenQueue("idle"), blocked = transport.OpenQueue("idle");
        using MessageReceiver receiver = transport.OpenReceiver("idle");
        using MessageSubscriber subscriber = transport.OpenSubscriber("idle");
        using var stop = new CancellationTokenSource();
        queue.SetConsumer(true);
        Task[] waiting =
        [
            queue.WaitToLeaseAsync(stop.Token).AsTask(),
            receiver.WaitToReceiveAsync(stop.Token).AsTask(),
            subscriber.WaitToReceiveAsync(stop.Token).AsTask(),
            Task.Factory.StartNew(() => blocked.WaitToLease(Timeout.InfiniteTimeSpan, stop.Token), TaskCreationOptions.LongRunning),
        ];
        Bare();
        stop.Cancel();
        Task.WhenAll(waiting).ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
    }

    /// <summary>The peer's peer: a runtime that waits for the end of its input.</summary>
    public static void Bare() => _ = Console.In.ReadToEnd();
}
