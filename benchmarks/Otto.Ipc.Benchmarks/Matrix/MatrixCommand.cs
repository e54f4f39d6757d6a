using System.CommandLine;
using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Probes;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix;

// eng/bench matrix [--quick] [--json FILE] [--markdown FILE]

internal static class MatrixCommand
{
    private const int Failed = 1;
    private static readonly SpeedPlan Quick = new(TimeSpan.FromMilliseconds(100), 3, TimeSpan.FromSeconds(20), 0),
        Full = new(TimeSpan.FromMilliseconds(500), 5, TimeSpan.FromMinutes(2), 0);

    public static Command Create()
    {
        var quick = new Option<bool>("--quick") { Description = "Short windows and three repeats: for verdicts, not to quote" };
        var json = new Option<FileInfo?>("--json")
            { Description = "Also write the run to FILE, one JSON object a line; without FILE print it instead of the tables",
                HelpName = "FILE", Arity = ArgumentArity.ZeroOrOne };
        var markdown = new Option<FileInfo?>("--markdown") { Description = "Also write a report to FILE, and two charts beside it" };
        var keep = new Option<bool>("--results")
            { Description = "Also write all of that into benchmarks/results, named by date and machine" };
        var seed = new Option<int?>("--seed") { Description = "Draws the order of the runs again, as a run has printed it" };
        var only = new Option<string[]>("--only") { Description = "Only these subjects", HelpName = "NAME",
            AllowMultipleArgumentsPerToken = true };
        var rows = new Option<Row[]>("--rows") { Description = "Only these rows", HelpName = "ROW", AllowMultipleArgumentsPerToken = true };
        var trait = new Option<string[]>("--trait") { Description = "Claims NAME.TRAIT=VALUE, to see the run fail", Hidden = true };
        var command = new Command("matrix",
            "The comparison of all transports, each cell probed with real processes, and of their peers, measured in the same run")
        {
            quick, json, markdown, keep, seed, only, rows, trait,
        };
        json.MustHaveADirectory();
        markdown.MustHaveADirectory();
        only.Validators.Add(r =>
        {
            foreach (string name in r.GetValue(only)!.Where(static n => AllSubjects.List.All(s => s.Name != n)))
                r.AddError(AllSubjects.NoSuch(name));
        });
        command.Validators.Add(r =>
        {
            Option[] part = [only, rows, trait];
            if (r.GetValue(keep) && part.FirstOrDefault(o => r.GetResult(o) is { Implicit: false }) is { } not)
                r.AddError($"--results keeps whole runs, from which the documents are written: leave out {not.Name}, or write with "
                    + $"--json and --markdown");
        });
        command.SetAction(parsed =>
        {
            SpeedPlan plan = (parsed.GetValue(quick) ? Quick : Full) with
                { Seed = parsed.GetValue(seed) ?? Environment.TickCount & 0xFFFF };
            string called = BenchmarkArguments.As("matrix", parsed, quick, seed, only, rows, trait);
            foreach (string change in parsed.GetValue(trait) ?? []) AlteredTraits.Apply(change);
            MatrixRun run = Run(
                plan,
                parsed.GetValue(only) is { Length: > 0 } names ? [.. names.Select(AllSubjects.Find)] : AllSubjects.List,
                parsed.GetValue(rows) is { Length: > 0 } wanted ? wanted : Enum.GetValues<Row>(),
                called);
            if (parsed.GetResult(json) is { Implicit: false } && parsed.GetValue(json) is null)
            {
                foreach (string line in run.ToLines()) Console.WriteLine(line);
            }
            else
            {
                MatrixConsole.Print(run);
            }

            MatrixConsole.PrintFailures(run);
            if (parsed.GetValue(json) is { } lines) File.WriteAllLines(lines.FullName, run.ToLines());
            if (parsed.GetValue(markdown) is { } report) MatrixMarkdown.WriteWithCharts(run, report.FullName);
            if (parsed.GetValue(keep)) Say($"written: {ResultFiles.Write(run)} and what lies beside it");
            return run.Contradictions.Any() || run.Head.Failures.Any(static f => f.IsOurs) ? Failed : 0;
        });
        return command;
    }

    private static MatrixRun Run(SpeedPlan plan, IReadOnlyList<Subject> asked, Row[] rows, string called)
    {
        Say($"the order is drawn with --seed {plan.Seed}");
        double loadBefore = Machine.Load, others = Machine.OthersOver(TimeSpan.FromSeconds(1));
        List<Subject> subjects = [];
        List<string> leftOut = [];
        foreach (Subject subject in asked)
        {
            if (subject.Missing is { } reason) leftOut.Add($"{subject.Title}: {reason}");
            else subjects.Add(subject);
        }

        if (!BuiltTools.AreThere) leftOut.Add("otto, in the rows debuggable and shell-friendly: the tools are not built (eng/build)");
        foreach ((string program, string what) in (ReadOnlySpan<(string, string)>)[("strace", "the count of all system calls"),
            ("jq", "looks with it"), ("nc", "looks and scripts with it"), ("redis-cli", "looks and scripts with it")])
        {
            if (!InstalledPrograms.Has(program)) leftOut.Add($"{what}: {program} is not installed");
        }

        foreach (string reason in leftOut) Say($"left out: {reason}");

        Subject[] columns = [.. subjects.Where(s => s.IsColumn)];
        bool measured = rows.Contains(Row.Speed) || rows.Contains(Row.Overhead);
        using IdleWakeups? idle = measured ? new IdleWakeups(columns) : null;
        List<Cell> cells = [];
        foreach (Probe probe in (Probe[])[new StreamingProbe(), new PersistenceProbe(), new DebuggableProbe(), new ShellProbe(),
            new BidirectionalProbe(), new SetUpProbe(), new SizeProbe(), new PlatformProbe()])
        {
            if (rows.Contains(probe.Row)) TryAll(probe, columns, cells);
        }

        List<SpeedResult> speeds = [];
        List<Failure> failures = [];
        if (idle is not null)
        {
            Say("idle: counting wake-ups");
            idle.Measure();
            idle.Dispose();
            var measurement = new SpeedMeasurement(plan);
            speeds = measurement.Run(subjects, Say);
            failures = measurement.Failures;
            TryAll(new SpeedProbe(speeds), columns, cells);
            TryAll(new OverheadProbe(speeds, idle), columns, cells);
        }

        return new MatrixRun(
            new RunHead
            {
                Date = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture),
                Machine = Machine.Description,
                Kernel = Machine.Kernel,
                Sdk = Machine.Sdk,
                Runtime = Machine.Runtime,
                Commit = Machine.Commit,
                Command = called,
                WindowMilliseconds = plan.Window.TotalMilliseconds,
                Repeats = plan.Repeats,
                Seed = plan.Seed,
                OthersBefore = others,
                Load = [loadBefore, Machine.Load],
                Columns = [.. columns.Select(c => new Column(c.Name, c.Title))],
                LeftOut = leftOut,
                Failures = failures,
            },
            [.. cells.OrderBy(c => c.Row)],
            speeds);
    }

    private static void TryAll(Probe probe, IEnumerable<Subject> columns, List<Cell> cells)
    {
        foreach (Subject subject in columns)
        {
            Cell cell = probe.TryAndTell(subject);
            cells.Add(cell);
            Say($"{Verdicts.Word(cell.Row)}, {subject.Title}: {cell.Verdict} ({cell.Evidence})");
        }
    }

    private static void Say(string line) => Console.Error.WriteLine("  " + line);
}
