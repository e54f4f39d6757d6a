using System.Diagnostics;
using Otto.Queue;
using Otto.Queue.Redis;

namespace Otto.Tools.Demo;

// One way of running the job: the work on all files, then probes one at a time, since the overhead of a task that waits behind a
// thousand others would only tell how long the queue was.

internal sealed record DemoSettings(string Directory, int FileLimit, int Probes)
{
    public const int WarmUps = 500;
    public static readonly TimeSpan ResultTimeout = TimeSpan.FromSeconds(30);

    public static DemoSettings For(string directory, bool quick) => quick ? new(directory, 60, 1_000) : new(directory, int.MaxValue, 5_000);
}

internal static class DemoRun
{
    private const int Slots = 2048, SlotBytes = 8192;

    public static async Task<DemoOutcome> InOneProcessAsync(DemoSettings settings, CancellationToken cancellationToken)
    {
        using var scratch = new ScratchSegments();
        ResultTally ledger = new ResultTally();
        TaskQueueOptions options = Options(scratch.Path).WithOrchestrator(ledger).WithVisionAndVoice(settings.Directory);
        return await RunAsync("inprocess", "all agents in this process", options, ledger, settings, null, cancellationToken);
    }

    public static async Task<DemoOutcome> InTwoProcessesAsync(DemoSettings settings, CancellationToken cancellationToken)
    {
        using var scratch = new ScratchSegments();
        ResultTally ledger = new ResultTally();
        using var agents = AgentProcess.Start(scratch.Path, settings.Directory);
        TaskQueueOptions options = Options(scratch.Path).WithOrchestrator(ledger).SendingWork();
        return await RunAsync("mmap", "vision and voice in a second process", options, ledger, settings, agents, cancellationToken);
    }

    /// <summary>The same two processes as if they were on two machines: Redis is all they share.</summary>
    public static async Task<DemoOutcome> ThroughRedisAsync(DemoSettings settings, string server, CancellationToken cancellationToken)
    {
        ResultTally ledger = new ResultTally();
        TaskQueueOptions options = RedisOptions(server).WithOrchestrator(ledger).SendingWork();
        await CheckAloneAsync(server, cancellationToken);
        using var agents = AgentProcess.Start("", settings.Directory, server);
        return await RunAsync("redis", "vision and voice in a second process, through Redis", options, ledger, settings, agents,
            cancellationToken);
    }

    // Two runs over one server would take each other's tasks.
    private static async Task CheckAloneAsync(string server, CancellationToken cancellationToken)
    {
        await using var look = new TaskQueue(RedisOptions(server).SendingWork());
        RouteStatus status = (await look.ExplainRouteAsync("demo.probe", null, cancellationToken)).Routes[^1];
        if (status.Error is { } error) throw new IOException($"the Redis server cannot be used: {error}");
        if (status.Workers > 0) throw new IOException("another demo is running over this Redis server; wait until it has ended");
    }

    /// <summary>The second process: vision and voice until the first one closes its end of
    /// standard input, or dies.</summary>
    public static async Task ServeAgentsAsync(string segments, string directory)
    {
        TaskQueueOptions options = segments.Length > 0 ? Options(segments) : RedisOptions(AgentProcess.RedisServer);
        await using var queue = new TaskQueue(options.WithVisionAndVoice(directory).SendingResults());
        await queue.StartAsync();
        Console.WriteLine("ready");
        while (await Console.In.ReadLineAsync() is not null)
        {
        }

        await queue.StopAsync();
    }

    // Nothing is left to drain at the end of a run; an interrupted one should not take long over what nobody will ask for.
    private static TaskQueueOptions Options(string segments) => new TaskQueueOptions { DrainTimeout = TimeSpan.FromSeconds(1) }
        .UseJson(DemoJson.Default)
        .UseInProcess(o => o.Capacity = 65_536)
        .UseSharedMemory(o =>
        {
            o.Directory = segments;
            o.Slots = Slots;
            o.SlotBytes = SlotBytes;
        });

    private static TaskQueueOptions RedisOptions(string server) => new TaskQueueOptions { DrainTimeout = TimeSpan.FromSeconds(1) }
        .UseJson(DemoJson.Default)
        .UseInProcess(o => o.Capacity = 65_536)
        .UseSharedMemory(o => o.Enabled = false)
        .UseRedis(server);

    private static async Task<DemoOutcome> RunAsync(
        string route, string title, TaskQueueOptions options, ResultTally ledger, DemoSettings settings, AgentProcess? agents,
        CancellationToken cancellationToken)
    {
        await using var queue = new TaskQueue(options);
        await queue.StartAsync(cancellationToken);
        if (agents is not null) await agents.ReadyAsync(cancellationToken);

        long start = Stopwatch.GetTimestamp();
        await queue.EnqueueAsync(new IndexFolder(settings.Directory, settings.FileLimit), cancellationToken: cancellationToken);
        await DemoProgress.ShowAsync(title, ledger, UntilDoneAsync(ledger.WorkDone, ledger, agents, cancellationToken));
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);

        for (int i = 0; ledger.Lost == 0 && i < DemoSettings.WarmUps + settings.Probes; i++)
        {
            Task answered = ledger.Await(i);
            await queue.EnqueueAsync(new Probe(i, Stopwatch.GetTimestamp()), cancellationToken: cancellationToken);
            if (!answered.IsCompleted) await UntilDoneAsync(answered, ledger, agents, cancellationToken);
        }

        agents?.Finish();
        return DemoOutcome.Of(route, ledger, elapsed, DemoSettings.WarmUps);
    }

    /// <summary>Waits for news, as long as there is any: what does not come is then counted
    /// as lost instead of waited for.</summary>
    private static async Task UntilDoneAsync(Task done, ResultTally ledger, AgentProcess? agents, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await done.WaitAsync(TimeSpan.FromSeconds(1), cancellationToken);
                return;
            }
            catch (TimeoutException)
            {
                if (agents is { HasExited: true }) throw new IOException("the second process ended early; its message is above");
                if (ledger.Silence <= DemoSettings.ResultTimeout) continue;
                Console.Error.WriteLine($"otto: no result arrived for {DemoSettings.ResultTimeout.TotalSeconds:N0} s; {ledger.Lost:N0} "
                    + $"results are counted as lost");
                return;
            }
        }
    }
}
