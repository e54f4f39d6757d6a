using System.CommandLine;
using System.Globalization;
using Otto.Ipc.Benchmarks.BeforeAfter;
using Otto.Ipc.Benchmarks.Cli;
using Otto.Ipc.Benchmarks.Documents;
using Otto.Ipc.Benchmarks.Loans;
using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Benchmarks.Micro;
using Otto.Ipc.Benchmarks.Queues;
using Otto.Ipc.Benchmarks.Stores;
using Otto.Ipc.Benchmarks.Streams;
using Otto.Ipc.Benchmarks.Tasks;
using Otto.Ipc.Benchmarks.Topics;
using Otto.Ipc.Benchmarks.Waiting;
using Otto.Ipc.Mmap;
using Otto.Queue;
using Otto.Tools.Demo;

// eng/bench SCENARIO [--json FILE] [--quick] [--runs N] [--floor PROGRAM]

if (args is ["peer", "matrix"]) return SessionHost.Run();
if (args is ["peer", "before-after", string way]) return BeforeAfterCommand.Work(way);
if (args is ["peer", .. string[] role]) return RunPeer(role);

var json = new Option<FileInfo?>("--json")
    { Description = "Also write the results to FILE, one JSON object a line; without FILE to standard output, in place of the table",
        Arity = ArgumentArity.ZeroOrOne };
var quick = new Option<bool>("--quick") { Description = "A tenth of the messages: to see that it runs, not to quote" };
var runs = new Option<int>("--runs") { Description = "Counted runs of each scenario; the median is reported",
    DefaultValueFactory = _ => 5 };
var floorProgram = new Option<FileInfo?>("--floor")
    { Description = "A program that does the same work in bare C; it is run between our runs" };
runs.Validators.Add(r =>
{
    if (r.GetValue(runs) is < 1 or > 100) r.AddError("--runs must be 1 to 100");
});

var root = new RootCommand("Measures Otto.Ipc. Machines are noisy: results are medians, and ratios to a peer that runs in between.")
{
    Scenario("stream", "A ring, and FIFOs, between two processes: throughput, and round trips spinning and blocking",
        (report, floor, n, scale) =>
    {
        foreach ((int bytes, long messages) in ((int, long)[])[(64, 20_000_000), (1024, 5_000_000), (65_536, 200_000)])
            StreamScenarios.Throughput(report, floor, bytes, messages / scale, n);
        foreach (bool spin in (bool[])[true, false])
        {
            foreach (int bytes in (int[])[64, 1024, 65_536])
                StreamScenarios.RoundTrip(report, floor, bytes, spin, (spin ? 200_000 : 30_000) / scale, n);
        }

        foreach ((int bytes, long messages) in ((int, long)[])[(64, 2_000_000), (1024, 1_000_000), (65_536, 50_000)])
            FifoScenarios.Throughput(report, bytes, messages / scale, n);
        foreach (int bytes in (int[])[64, 1024, 65_536]) FifoScenarios.RoundTrip(report, floor, bytes, 30_000 / scale, n);
    }),
    Scenario("queue", "Tasks through a no-op worker: in this process, and across processes", (report, floor, n, scale) =>
    {
        InProcessScenario.ThroughputAsync(report, bytes: 200, tasks: 5_000_000 / scale, n).GetAwaiter().GetResult();
        QueueScenarios.Throughput(report, floor, bytes: 200, tasks: 3_000_000 / scale, workers: 1, n);
        QueueScenarios.Throughput(report, floor, bytes: 200, tasks: 3_000_000 / scale, workers: 2, n);
    }),
    Scenario("loan", "Blocks of 64 B to 100 MiB handed over by reference",
        (report, _, n, scale) => LoanScenarios.Handover(report, 2_000 / scale, n)),
    Scenario("idle", "What a process costs that waits and gets nothing", (report, _, n, _) => IdleScenario.Cost(report, n)),
    Scenario("store", "GET and SET: the socket server on 64 busy connections, redis-server beside it; shared memory and files by "
        + "one caller", (report, _, n, scale) =>
    {
        StoreScenarios.GetAndSet(report, operations: 4_000_000 / scale, depth: 16, n);
        StoreScenarios.GetAndSet(report, operations: 1_000_000 / scale, depth: 1, n);
        LocalStoreScenarios.GetAndSet(report, operations: 20_000 / scale, keys: 100, n);
    }),
    Scenario("cli", "What a shell waits for: starting a tool, to its end",
        (report, _, n, scale) => CliScenario.Start(report, 30 / Math.Min(scale, 5), n)),
    Scenario("task", "Tasks of the queue: how many a second, and how long from enqueue to handler start; in this process, over shared "
    + "memory and through Redis", (report, _, n, scale) =>
        MeasureTasksAsync(report, n, scale).GetAwaiter().GetResult()),
    Scenario("topic", "News to one and two subscribers in other processes", (report, floor, n, scale) =>
    {
        foreach ((int subscribers, SlowSubscriberPolicy policy) in ((int, SlowSubscriberPolicy)[])[(1, SlowSubscriberPolicy.Block),
            (1, SlowSubscriberPolicy.Overwrite), (2, SlowSubscriberPolicy.Overwrite)])
            TopicScenarios.Throughput(report, floor, bytes: 64, messages: 10_000_000 / scale, subscribers, policy, n);
    }),
};

root.Add(MatrixCommand.Create());
root.Add(BeforeAfterCommand.Create());
root.Add(MicroCommand.Create());
root.Add(ReadmeCommand.Create());

Interruption.Guard();
return root.Parse(args).Invoke();

Command Scenario(string name, string description, Action<Report, NativeBaseline, int, int> measure)
{
    var command = new Command(name, description) { json, quick, runs, floorProgram };
    command.SetAction(parsed =>
    {
        using var report = new Report(parsed.GetValue(json), lines: parsed.GetResult(json) is { Tokens.Count: 0 });
        NativeBaseline floor = new NativeBaseline(parsed.GetValue(floorProgram)?.FullName);
        if (!floor.IsThere) Console.Error.WriteLine("  no --floor program: ratios to bare C are left out");
        measure(report, floor, parsed.GetValue(runs), parsed.GetValue(quick) ? 10 : 1);
        report.Print();
    });
    return command;
}

static async Task MeasureTasksAsync(Report report, int runs, int scale)
{
    await TaskScenarios.InProcessThroughputAsync(report, scope: false, Durability.None, 4_000_000 / scale, runs);
    await TaskScenarios.InProcessThroughputAsync(report, scope: true, Durability.None, 1_000_000 / scale, runs);
    await TaskScenarios.InProcessThroughputAsync(report, scope: false, Durability.Process, 1_000_000 / scale, runs);
    await TaskScenarios.InProcessOverheadAsync(report, awake: true, 50_000 / scale, runs);
    await TaskScenarios.InProcessOverheadAsync(report, awake: false, 1_000 / scale, runs);
    foreach ((string format, bool scope) in ((string, bool)[])[("raw", false), ("raw", true), ("json", false), ("json", true)])
        await TaskScenarios.ThroughputAsync(report, new TaskPlan("mmap", format, scope), 1_000_000 / scale, runs);
    await TaskScenarios.OverheadAsync(report, new TaskPlan("mmap", "raw", Scope: false), awake: true, 20_000 / scale, runs);
    await TaskScenarios.OverheadAsync(report, new TaskPlan("mmap", "json", Scope: false), awake: true, 20_000 / scale, runs);
    await TaskScenarios.OverheadAsync(report, new TaskPlan("mmap", "raw", Scope: false), awake: false, 1_000 / scale, runs);
    if (!ScratchRedis.IsInstalled)
    {
        Console.Error.WriteLine("  redis-server is not installed: the route through Redis is left out (apt-get install redis-server)");
        return;
    }

    using ScratchRedis redis = await ScratchRedis.StartAsync(CancellationToken.None);
    Environment.SetEnvironmentVariable(TaskPlan.RedisVariable, redis.Configuration);
    foreach ((string format, bool scope) in ((string, bool)[])[("raw", false), ("raw", true), ("json", false)])
        await TaskScenarios.ThroughputAsync(report, new TaskPlan("redis", format, scope), 200_000 / scale, runs);
    await TaskScenarios.OneAtATimeAsync(report, 20_000 / scale, runs);
    await TaskScenarios.OverheadAsync(report, new TaskPlan("redis", "raw", Scope: false), awake: true, 2_000 / scale, runs);
}

static int RunPeer(string[] role)
{
    int Number(int index) => int.Parse(role[index], CultureInfo.InvariantCulture);
    switch (role[0])
    {
        case "stream-drain":
            StreamScenarios.Drain(role[1], Number(2), Number(3), Number(4));
            return 0;
        case "stream-echo":
            StreamScenarios.Echo(role[1], Number(2), Number(3), Number(4), role[5] == "spin");
            return 0;
        case "fifo-drain":
            FifoScenarios.Drain(role[1], Number(2), Number(3), Number(4));
            return 0;
        case "fifo-echo":
            FifoScenarios.Echo(role[1], Number(2), Number(3), Number(4));
            return 0;
        case "queue-work":
            QueueScenarios.Work(role[1], Number(2));
            return 0;
        case "loan-read":
            LoanScenarios.Read(role[1], long.Parse(role[2], CultureInfo.InvariantCulture));
            return 0;
        case "idle-wait":
            IdleScenario.Wait(role[1]);
            return 0;
        case "idle-bare":
            IdleScenario.Bare();
            return 0;
        case "topic-hear":
            TopicScenarios.Hear(role[1], Number(2), Number(3));
            return 0;
        case "task-work":
            TaskWorker.ServeOttoAsync(role[1], new TaskPlan(role[2], role[3], role[4] == "scope"), Number(5)).GetAwaiter().GetResult();
            return 0;
        case "task-hand":
            TaskWorker.ServeAsync(role[1], new TaskPlan(role[2], role[3], false), Number(5),
                static async sink => await (await HandWrittenRedis.ConnectAsync()).StartAsync(sink)).GetAwaiter().GetResult();
            return 0;
        case "store-serve":
            OttoServer.Serve(role[1]);
            return 0;
        default:
            Console.Error.WriteLine($"no such peer: {role[0]}");
            return 2;
    }
}
