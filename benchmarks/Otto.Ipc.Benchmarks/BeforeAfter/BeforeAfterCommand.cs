using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Queue;
using Spectre.Console;

namespace Otto.Ipc.Benchmarks.BeforeAfter;

// eng/bench before-after: the case that this project began with. Small tasks that do nothing, from one process to another, through Redis one
// round trip at a time, through Redis as it should be used, through shared memory, and to a worker in the same process.

internal static class BeforeAfterCommand
{
    public const string Note =
        "The historical case went from 165 to 970 tasks/s when it left Redis, and largely because its worker slept 250 ms between looks. The baseline here is a consumer that never "
        + "sleeps while there is work: what it costs is round trips, and nothing else.";

    private const int WarmUp = 5000, Seed = 20;

    public static Command Create()
    {
        var tasks = new Option<int[]>("--tasks") { Description = "How many tasks a run has", DefaultValueFactory = _ => [1000, 100_000], AllowMultipleArgumentsPerToken = true };
        var runs = new Option<int>("--runs") { Description = "Counted runs of each; medians are reported", DefaultValueFactory = _ => 3 };
        var json = new Option<FileInfo?>("--json") { Description = "Also write the results to FILE, one JSON object a line" };
        var markdown = new Option<FileInfo?>("--markdown") { Description = "Also write a report to FILE" };
        var command = new Command("before-after", "Small tasks through Redis one round trip at a time, through Redis well used, through shared memory, and in process") { tasks, runs, json, markdown };
        command.SetAction(async (parsed, cancellation) =>
        {
            List<BeforeAfterResult> results = await MeasureAsync(parsed.GetValue(tasks)!, parsed.GetValue(runs)).ConfigureAwait(false);
            Print(results);
            if (parsed.GetValue(json) is { } lines) await File.WriteAllLinesAsync(lines.FullName, results.Select(r => r.ToJson()), cancellation).ConfigureAwait(false);
            if (parsed.GetValue(markdown) is { } report) await File.WriteAllTextAsync(report.FullName, Markdown(results, parsed.GetValue(runs)), cancellation).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    /// <summary>The other process: works until its input ends, and says when it has done so many tasks.</summary>
    public static int Work(string way)
    {
        var tally = new Tally();
        string address = Console.In.ReadLine()!;
        Task<(long First, long Last)> done = Task.FromResult((0L, 0L));
        new Thread(() =>
        {
            if (way.StartsWith("redis", StringComparison.Ordinal)) RedisWay.Work(way == "redis-batched", address, tally);
            else QueueWay.WorkAsync(way == "otto-mmap" ? Route.SharedMemory : Route.Redis, address, tally).GetAwaiter().GetResult();
        }) { IsBackground = true }.Start();
        while (Console.In.ReadLine() is { } line)
        {
            done = tally.Expect(int.Parse(line, CultureInfo.InvariantCulture));
            Console.WriteLine("ready");
            (long first, long last) = done.GetAwaiter().GetResult();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{first} {last}"));
        }

        return 0;
    }

    private static async Task<List<BeforeAfterResult>> MeasureAsync(int[] counts, int runs)
    {
        var tally = new Tally();
        Func<Way>[] ways =
        [
            .. RedisPlace.IsInstalled ? (Func<Way>[])[() => new RedisWay(batched: false), () => new RedisWay(batched: true), () => new QueueWay(Route.Redis, null)] : [],
            () => new QueueWay(Route.SharedMemory, null),
            () => new QueueWay(Route.InProcess, tally),
        ];
        if (!RedisPlace.IsInstalled) Console.Error.WriteLine("  redis-server is not installed, so its three ways are left out: sudo apt-get install redis-server");
        List<BeforeAfterRun> all = [];
        var draw = new Random(Seed);
        for (int run = 0; run < runs; run++)
        {
            foreach (int index in Shuffled(ways.Length, draw))
            {
                await using Way way = ways[index]();
                await way.StartAsync().ConfigureAwait(false);
                using Process? worker = way.Address is null ? null : StartWorker(way);
                await OneRunAsync(way, worker, tally, WarmUp).ConfigureAwait(false);
                foreach (int count in counts)
                {
                    BeforeAfterRun result = await OneRunAsync(way, worker, tally, count).ConfigureAwait(false) with { Order = index };
                    all.Add(result);
                    Console.Error.WriteLine(FormattableString.Invariant($"  {way.Title}, {count:N0} tasks: {result.TotalSeconds * 1000:N1} ms"));
                }

                worker?.Kill();
            }
        }

        return [.. all.GroupBy(r => (r.Tasks, r.Order)).OrderBy(g => g.Key).Select(g => BeforeAfterResult.Of([.. g]))];
    }

    private static async Task<BeforeAfterRun> OneRunAsync(Way way, Process? worker, Tally tally, int tasks)
    {
        Task<(long First, long Last)> done = worker is null ? tally.Expect(tasks) : ExpectAsync(worker, tasks);
        if (worker is not null && await worker.StandardOutput.ReadLineAsync().ConfigureAwait(false) != "ready") throw new InvalidOperationException("the worker ended early; its message is above");
        long start = Stopwatch.GetTimestamp();
        await way.ProduceAsync(tasks).ConfigureAwait(false);
        long produced = Stopwatch.GetTimestamp();
        (long first, long last) = worker is null ? await done.ConfigureAwait(false) : await HearAsync(worker).ConfigureAwait(false);
        double Seconds(long from, long to) => Math.Max(to - from, 1) / (double)Stopwatch.Frequency;
        return new BeforeAfterRun(way.Name, way.Title, tasks, tasks / Seconds(start, produced), tasks / Seconds(first, last), Seconds(start, Math.Max(last, produced)), 0);
    }

    private static async Task<(long First, long Last)> ExpectAsync(Process worker, int tasks)
    {
        await worker.StandardInput.WriteLineAsync(tasks.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
        await worker.StandardInput.FlushAsync().ConfigureAwait(false);
        return default;
    }

    private static async Task<(long First, long Last)> HearAsync(Process worker)
    {
        string line = await worker.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(5)).ConfigureAwait(false) ?? throw new InvalidOperationException("the worker ended early; its message is above");
        long[] when = [.. line.Split(' ').Select(static w => long.Parse(w, CultureInfo.InvariantCulture))];
        return (when[0], when[1]);
    }

    private static Process StartWorker(Way way)
    {
        Process worker = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["peer", "before-after", way.Name]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
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

    private static readonly string[] Headings = ["", "tasks", "produced a second", "consumed a second", "total", "overhead a task", "of the first"];

    private static void Print(List<BeforeAfterResult> results)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 160;
        var table = new Table().Border(TableBorder.Simple);
        foreach (string heading in Headings) table.AddColumn(heading);
        foreach (string[] row in Rows(results)) table.AddRow([.. row.Select(Markup.Escape)]);
        AnsiConsole.Write(table);
        Console.WriteLine(Note);
    }

    private static string Markdown(List<BeforeAfterResult> results, int runs)
    {
        var text = new StringBuilder();
        text.AppendLine(FormattableString.Invariant($"# Before and after, {TimeProvider.System.GetUtcNow():yyyy-MM-dd}")).AppendLine();
        text.AppendLine($"{Machine.Description}. {Machine.Kernel}, .NET SDK {Machine.Sdk}. Commit `{Machine.Commit}`. Command: `eng/bench before-after`.");
        text.AppendLine(FormattableString.Invariant($"Medians of {runs} runs in shuffled order; load after the last: {Machine.Load:0.00}.")).AppendLine();
        text.AppendLine($"| {string.Join(" | ", Headings)} |").AppendLine("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (string[] row in Rows(results)) text.AppendLine($"| {string.Join(" | ", row)} |");
        text.AppendLine().AppendLine("The total runs from the first task that is handed over to the last that is handled; overhead is the total divided by the tasks. A producer that waits for room is as quick as its consumer.").AppendLine();
        text.AppendLine(Note);
        return text.ToString();
    }

    private static IEnumerable<string[]> Rows(List<BeforeAfterResult> results) => results.Select(r => (string[])
    [
        r.Title,
        r.Tasks.ToString("N0", CultureInfo.InvariantCulture),
        r.ProducedASecond.ToString("N0", CultureInfo.InvariantCulture),
        r.ConsumedASecond.ToString("N0", CultureInfo.InvariantCulture),
        FormattableString.Invariant($"{r.TotalMilliseconds:N1} ms"),
        FormattableString.Invariant($"{r.OverheadMicroseconds:N2} µs"),
        FormattableString.Invariant($"1/{results.First(f => f.Tasks == r.Tasks).OverheadMicroseconds / r.OverheadMicroseconds:N1}"),
    ]);
}
