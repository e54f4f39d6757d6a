using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Spectre.Console;

namespace Otto.Tools.Demo;

// otto demo: the main job on real files, each way of running it, one table.

internal static class DemoCommand
{
    public static Command Create()
    {
        var directory = new Argument<string?>("DIR")
        {
            Description = "Directory of the files to work on. Default: the installed .NET frameworks, otherwise files that the demo "
                + "creates.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var json = new Option<string?>("--json")
            { Description = "Also write each table row to FILE as JSON; - prints JSON to standard output instead of the table.",
                HelpName = "FILE" };
        var quick = new Option<bool>("--quick")
            { Description = "Use only the first 60 files and fewer probes. The figures are not meaningful." };
        var redis = new Option<string?>("--redis")
            { Description = "Redis server for the third run. Default: OTTO_REDIS, otherwise own (the demo starts one); none skips the run.",
                HelpName = "SERVER" };
        var command = new Command(
            "demo",
            """
            Runs a small agent system over real files: an indexer finds them, a vision agent and a voice agent analyse each
            file, and the orchestrator collects the results. It runs in one process, in two processes, and in two processes
            that share only a Redis server (a named one, or one that the demo starts if redis-server is installed). Lost and
            duplicated tasks are counted from the results and must be 0.

            Example:
              otto demo /usr/share/doc --json result.json
            """) { directory, json, quick, redis };
        command.SetAction((parsed, _) =>
            UntilInterruptedAsync(
                cancellationToken =>
                RunAsync(parsed.GetValue(directory), parsed.GetValue(json), parsed.GetValue(quick), parsed.GetValue(redis),
                    cancellationToken)));
        return command;
    }

    /// <summary>The second process; not for people.</summary>
    public static Command CreateAgents()
    {
        var segments = new Argument<string>("SEGMENTS");
        var directory = new Argument<string>("DIR");
        var command = new Command(AgentProcess.Command, "The demo's second process.") { segments, directory };
        command.Hidden = true;
        command.SetAction((parsed, _) => DemoRun.ServeAgentsAsync(parsed.GetValue(segments)!, parsed.GetValue(directory)!));
        return command;
    }

    /// <summary>Ctrl-C and a polite kill end the run, not the program: what it made is
    /// cleaned up. A second one ends the program.</summary>
    private static async Task<int> UntilInterruptedAsync(Func<CancellationToken, Task<int>> run)
    {
        using var interrupted = new CancellationTokenSource();
        int signal = 0;
        void Interrupt(PosixSignalContext context, int number)
        {
            if (Interlocked.CompareExchange(ref signal, number, 0) != 0) return;
            context.Cancel = true;
            interrupted.Cancel();
        }

        using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Interrupt(context, 2));
        using PosixSignalRegistration onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Interrupt(context, 15));
        try
        {
            return await run(interrupted.Token);
        }
        catch (OperationCanceledException) when (signal != 0)
        {
            Console.Error.WriteLine("otto: interrupted; all temporary files were removed");
            return 128 + signal; // what a shell reports of a program that a signal ended
        }
    }

    private static async Task<int> RunAsync(string? directory, string? json, bool quick, string? redis, CancellationToken cancellationToken)
    {
        using SampleFiles? sample = directory is null ? SampleFiles.Open() : null;
        string full = Path.GetFullPath(directory ?? sample!.Directory);
        if (!Directory.Exists(full))
        {
            Console.Error.WriteLine(
                File.Exists(full) ? $"otto: {full} is a file; name the directory that holds it" : $"otto: {full} does not exist");
            return ExitCode.Failed;
        }

        // Opened before the work: a result that cannot be written should not cost the run.
        await using TextWriter? lines = json is null ? null : json == "-" ? Console.Out : new StreamWriter(json, append: false);
        DemoSettings settings = DemoSettings.For(full, quick);
        DemoOutcome[] outcomes =
        [
            await DemoRun.InOneProcessAsync(settings, cancellationToken),
            await DemoRun.InTwoProcessesAsync(settings, cancellationToken),
            .. await ThroughRedisAsync(settings, redis ?? Environment.GetEnvironmentVariable("OTTO_REDIS"), cancellationToken),
        ];
        if (outcomes is [.., { Route: "redis", OverheadP50Us: > 0 and var far }])
            outcomes = [.. outcomes.Select(o => o.OverheadP50Us > 0 ? o with { RatioToRedis = Math.Round(far / o.OverheadP50Us, 1) } : o)];

        foreach (DemoOutcome outcome in outcomes) lines?.WriteLine(JsonSerializer.Serialize(outcome, OutcomeJson.Default.DemoOutcome));
        if (json != "-") Print(full, outcomes);
        Warn(outcomes[0].Failures);
        return outcomes.All(o => o.Lost == 0 && o.Duplicated == 0) ? ExitCode.Done : ExitCode.Failed;
    }

    private static async Task<DemoOutcome[]> ThroughRedisAsync(DemoSettings settings, string? server, CancellationToken cancellationToken)
    {
        if (server == "none") return [];
        if (server is { Length: > 0 } and not "own") return [await DemoRun.ThroughRedisAsync(settings, server, cancellationToken)];
        if (!ScratchRedis.IsInstalled)
        {
            Console.Error.WriteLine("otto: redis-server is not installed, so the Redis run is skipped; install it with apt-get install "
                + "redis-server, or name a server with --redis");
            return [];
        }

        using ScratchRedis own = await ScratchRedis.StartAsync(cancellationToken);
        return [await DemoRun.ThroughRedisAsync(settings, own.Configuration, cancellationToken)];
    }

    private static void Print(string directory, DemoOutcome[] outcomes)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 120; // Without a terminal there is no width to fit into.
        Table table = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["route", "tasks", "tasks/s", "overhead p50", "p99", "redis takes", "lost", "duplicated"])
            table.AddColumn(new TableColumn(heading) { NoWrap = true, Alignment = heading == "route" ? Justify.Left : Justify.Right });
        foreach (DemoOutcome o in outcomes)
            table.AddRow(o.Route, Number(o.Tasks), Number(o.TasksPerSecond), $"{o.OverheadP50Us:0.0} µs", $"{o.OverheadP99Us:0.0} µs",
                o.RatioToRedis is { } ratio ? ratio.ToString("N1", CultureInfo.InvariantCulture) + " x" : "-", Number(o.Lost),
                Number(o.Duplicated));
        AnsiConsole.Write(table);
        Console.WriteLine($"{outcomes[0].Tasks / 2:N0} files below {directory}; a task for vision and one for voice each.");
        Console.WriteLine("overhead: enqueue to handler start of tasks sent one at a time, sleeping and waking included.");
    }

    private static void Warn(IReadOnlyList<string> failures)
    {
        if (failures.Count == 0) return;
        Console.Error.WriteLine($"otto: {failures.Count:N0} times a file could not be read, and was reported as such:");
        foreach (string failure in failures.Take(5)) Console.Error.WriteLine($"  {failure}");
        if (failures.Count > 5) Console.Error.WriteLine($"  and {failures.Count - 5:N0} more");
    }

    private static string Number(double value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
