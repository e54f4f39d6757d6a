using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.BeforeAfter;

// eng/bench before-after: the case that this project began with. Small tasks that do nothing, from one process to another, through Redis
// one round trip at a time, through Redis as it should be used, through shared memory, and to a worker in the same process.

internal static class BeforeAfterCommand
{
    private const int WarmUp = 5000, Seed = 20;

    public static Command Create()
    {
        var tasks = new Option<int[]>("--tasks") { Description = "How many tasks a run has", DefaultValueFactory = _ => [1000, 100_000],
            AllowMultipleArgumentsPerToken = true };
        var runs = new Option<int>("--runs") { Description = "Counted runs of each; medians are reported", DefaultValueFactory = _ => 3 };
        var json = new Option<FileInfo?>("--json")
            { Description = "Also write the results to FILE, one JSON object a line; without FILE print them instead of the table",
                HelpName = "FILE", Arity = ArgumentArity.ZeroOrOne };
        var markdown = new Option<FileInfo?>("--markdown") { Description = "Also write a report to FILE" };
        var keep = new Option<bool>("--results") { Description = "Also write both into benchmarks/results, named by date and machine" };
        var command = new Command("before-after",
            "Small tasks through Redis one round trip at a time, through Redis well used, through shared memory, and in process") { tasks,
                runs, json, markdown, keep };
        tasks.Validators.Add(r =>
        {
            if (r.GetValue(tasks)!.Any(static n => n is < 1 or > 100_000_000)) r.AddError("--tasks must be 1 to 100,000,000 each");
        });
        runs.Validators.Add(r =>
        {
            if (r.GetValue(runs) is < 1 or > 100) r.AddError("--runs must be 1 to 100");
        });
        json.MustHaveADirectory();
        markdown.MustHaveADirectory();
        command.SetAction(async (parsed, cancellationToken) =>
        {
            double others = Machine.OthersOver(TimeSpan.FromSeconds(1));
            List<BeforeAfterResult> results = await MeasureAsync(parsed.GetValue(tasks)!, parsed.GetValue(runs)).ConfigureAwait(false);
            var report = new BeforeAfterReport(
                BeforeAfterHead.Here(BenchmarkArguments.As("before-after", parsed, tasks, runs), parsed.GetValue(runs), others), results);
            if (parsed.GetResult(json) is { Implicit: false } && parsed.GetValue(json) is null)
            {
                foreach (string line in report.ToLines()) Console.WriteLine(line);
            }
            else
            {
                report.Print();
            }

            if (parsed.GetValue(json) is { } lines)
                await File.WriteAllLinesAsync(lines.FullName, report.ToLines(), cancellationToken).ConfigureAwait(false);
            if (parsed.GetValue(markdown) is { } page)
                await File.WriteAllTextAsync(page.FullName, report.ToMarkdown(), cancellationToken).ConfigureAwait(false);
            if (parsed.GetValue(keep)) Console.Error.WriteLine($"  written: {report.Write()} and what lies beside it");
            return 0;
        });
        return command;
    }

    /// <summary>The other process: works until its input ends, and says when it has done so many tasks.</summary>
    public static int Work(string way)
    {
        var tally = new Tally();
        string address = Console.In.ReadLine()!;
        new Thread(() =>
        {
            if (way.StartsWith("redis", StringComparison.Ordinal)) RedisVariant.Work(way == "redis-batched", address, tally);
            else QueueVariant.WorkAsync(way == "otto-mmap" ? RouteName.SharedMemory : RouteName.Redis, address, tally).GetAwaiter()
                .GetResult();
        }) { IsBackground = true }.Start();
        while (Console.In.ReadLine() is { } line)
        {
            Task<(long First, long Last)> done = tally.Expect(int.Parse(line, CultureInfo.InvariantCulture));
            // On another thread: who gives these tasks may end before they are done, and this loop must see it.
            done.ContinueWith(static d =>
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{d.Result.First} {d.Result.Last}")), TaskScheduler.Default);
            Console.WriteLine("ready");
        }

        Environment.Exit(0);
        return 0;
    }

    private static async Task<List<BeforeAfterResult>> MeasureAsync(int[] counts, int runs)
    {
        var tally = new Tally();
        Func<Variant>[] ways =
        [
            .. RedisWorkspace.IsInstalled
            ? (Func<Variant>[])[() => new RedisVariant(batched: false), () => new RedisVariant(batched: true),
                () => new QueueVariant(RouteName.Redis, null)] : [],
            () => new QueueVariant(RouteName.SharedMemory, null),
            () => new QueueVariant(RouteName.InProcess, tally),
        ];
        if (!RedisWorkspace.IsInstalled)
            Console.Error.WriteLine("  redis-server is not installed, so its three ways are left out: sudo apt-get install redis-server");
        List<BeforeAfterRun> all = [];
        var draw = new Random(Seed);
        for (int run = 0; run < runs; run++)
        {
            foreach (int index in Shuffled(ways.Length, draw))
            {
                await using Variant way = ways[index]();
                await way.StartAsync().ConfigureAwait(false);
                Process? worker = way.Address is null ? null : StartWorker(way);
                await OneRunAsync(way, worker, tally, WarmUp).ConfigureAwait(false);
                foreach (int count in counts)
                {
                    BeforeAfterRun result = await OneRunAsync(way, worker, tally, count).ConfigureAwait(false) with { Order = index };
                    all.Add(result);
                    Console.Error.WriteLine(
                        FormattableString.Invariant($"  {way.Title}, {count:N0} tasks: {result.TotalSeconds * 1000:N1} ms"));
                }

                if (worker is null) continue;
                worker.Kill();
                Interruption.Ended(worker);
            }
        }

        return [.. all.GroupBy(r => (r.Tasks, r.Order)).OrderBy(g => g.Key).Select(g => BeforeAfterResult.Of([.. g]))];
    }

    private static async Task<BeforeAfterRun> OneRunAsync(Variant way, Process? worker, Tally tally, int tasks)
    {
        Task<(long First, long Last)> done = worker is null ? tally.Expect(tasks) : ExpectAsync(worker, tasks);
        if (worker is not null && await worker.StandardOutput.ReadLineAsync().ConfigureAwait(false) != "ready")
            throw new InvalidOperationException("the worker ended early; its message is above");
        long start = Stopwatch.GetTimestamp();
        await way.ProduceAsync(tasks).ConfigureAwait(false);
        long produced = Stopwatch.GetTimestamp();
        (long first, long last) = worker is null ? await done.ConfigureAwait(false) : await HearAsync(worker).ConfigureAwait(false);
        double Seconds(long from, long to) => Math.Max(to - from, 1) / (double)Stopwatch.Frequency;
        return new BeforeAfterRun(way.Name, way.Title, tasks, tasks / Seconds(start, produced), tasks / Seconds(first, last),
            Seconds(start, Math.Max(last, produced)), 0);
    }

    private static async Task<(long First, long Last)> ExpectAsync(Process worker, int tasks)
    {
        await worker.StandardInput.WriteLineAsync(tasks.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
        await worker.StandardInput.FlushAsync().ConfigureAwait(false);
        return default;
    }

    private static async Task<(long First, long Last)> HearAsync(Process worker)
    {
        string line = await worker.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(5)).ConfigureAwait(false)
            ?? throw new InvalidOperationException("the worker ended early; its message is above");
        long[] when = [.. line.Split(' ').Select(static w => long.Parse(w, CultureInfo.InvariantCulture))];
        return (when[0], when[1]);
    }

    private static Process StartWorker(Variant way)
    {
        Process worker = Interruption.Start(
            new ProcessStartInfo(Environment.ProcessPath!, ["peer", "before-after", way.Name]) { RedirectStandardInput = true,
                RedirectStandardOutput = true });
        worker.StandardInput.WriteLine(way.Address);
        worker.StandardInput.Flush();
        return worker;
    }

    private static int[] Shuffled(int count, Random draw)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        draw.Shuffle(order);
        return order;
    }
}
