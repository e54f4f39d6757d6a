using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Measuring;
using Spectre.Console;

namespace Otto.Ipc.Benchmarks.BeforeAfter;

// A run of all ways, as it is printed and as it is kept: a line that says where and how, and a line a
// result. The report follows from the lines alone.

/// <summary>Where and how a run was made.</summary>
internal sealed record BeforeAfterHead
{
    public required string Date { get; init; }

    public required string Machine { get; init; }

    public required string Kernel { get; init; }

    public required string Sdk { get; init; }

    public required string Commit { get; init; }

    /// <summary>How it was called; older results do not say.</summary>
    public string? Command { get; init; }

    /// <summary>Counted runs of each way.</summary>
    public required int Runs { get; init; }

    /// <summary>What others took of the processors in the second before the run began: 1 is a whole core.</summary>
    public required double OthersBefore { get; init; }

    /// <summary>The head of a run that was just made on this machine.</summary>
    public static BeforeAfterHead Here(string command, int runs, double othersBefore) => new()
    {
        Command = command,
        Date = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture),
        Machine = Measuring.Machine.Description,
        Kernel = Measuring.Machine.Kernel,
        Sdk = Measuring.Machine.Sdk,
        Commit = Measuring.Machine.Commit,
        Runs = runs,
        OthersBefore = othersBefore,
    };
}

internal sealed record BeforeAfterReport(BeforeAfterHead Head, IReadOnlyList<BeforeAfterResult> Results)
{
    public const string Note =
        "The historical case went from 165 to 970 tasks/s when it left Redis, and largely because its worker slept 250 ms between "
        + "looks. The baseline here is a consumer that never "
        + "sleeps while there is work: what it costs is round trips, and nothing else.";

    private const string Kind = "-before-after";
    private static readonly string[] Headings = ["", "tasks", "produced a second", "consumed a second", "total", "overhead a task",
        "of the first"];

    /// <summary>Why the numbers are to be taken with care; <see langword="null"/> where the
    /// machine was quiet.</summary>
    public string? Noise
    {
        get
        {
            double spread = Result.Median(Results.Select(static r => r.Runs.Max() / Math.Max(r.Runs.Min(), 1e-3)).DefaultIfEmpty(1));
            return NoiseDetector.Of(Head.OthersBefore, spread);
        }
    }

    /// <summary>The runs that are kept, the newest last.</summary>
    public static IReadOnlyList<(string Stem, BeforeAfterReport Report)> All(string directory) =>
    [
        .. Directory.GetFiles(directory, $"*{Kind}.jsonl")
            .Select(static path => (Stem: Path.GetFileNameWithoutExtension(path), Report: Parse(File.ReadAllLines(path))))
            .OrderBy(static kept => kept.Report.Head.Date, StringComparer.Ordinal).ThenBy(static kept => kept.Stem, StringComparer.Ordinal),
    ];

    /// <summary>Keeps the run.</summary>
    /// <returns>The report's path.</returns>
    public string Write()
    {
        string page = Path.Combine(Checkout.Results, $"{Head.Date[..10]}-{Machine.ShortName}{Kind}.md");
        File.WriteAllLines(Path.ChangeExtension(page, ".jsonl"), ToLines());
        File.WriteAllText(page, ToMarkdown());
        return page;
    }

    public IEnumerable<string> ToLines() =>
        Results.Select(static r => JsonSerializer.Serialize(r, BeforeAfterJson.Default.BeforeAfterResult)).Prepend(
            JsonSerializer.Serialize(Head, BeforeAfterJson.Default.BeforeAfterHead));

    /// <summary>Reads back what <see cref="ToLines"/> wrote.</summary>
    public static BeforeAfterReport Parse(IReadOnlyList<string> lines) => new(
        JsonSerializer.Deserialize(lines[0], BeforeAfterJson.Default.BeforeAfterHead)!,
        [.. lines.Skip(1).Select(static l => JsonSerializer.Deserialize(l, BeforeAfterJson.Default.BeforeAfterResult)!)]);

    public void Print()
    {
        // Without a terminal there is no width to fit into.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 160;
        var table = new Table().Border(TableBorder.Simple);
        foreach (string heading in Headings) table.AddColumn(heading);
        foreach (string[] row in Rows()) table.AddRow([.. row.Select(Markup.Escape)]);
        AnsiConsole.Write(table);
        if (Noise is { } noise) Console.WriteLine(noise);
        Console.WriteLine(Note);
    }

    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.AppendLine($"# Before and after, {Head.Date}").AppendLine();
        text.AppendLine($"{Head.Machine}. {Head.Kernel}, .NET SDK {Head.Sdk}. Commit `{Head.Commit}`. Command: "
            + $"`{Head.Command ?? "eng/bench before-after"}`.");
        text.AppendLine(FormattableString.Invariant($"Medians of {Head.Runs} runs in shuffled order."));
        if (Noise is { } noise) text.AppendLine().AppendLine($"**{noise}**");
        text.AppendLine().Append(Table()).AppendLine();
        text.AppendLine("Tasks do nothing. The total runs from the first task that is handed over to the last that is handled; overhead "
            + "is the total divided by the tasks.");
        text.AppendLine("A producer that waits for room is as quick as its consumer.").AppendLine();
        text.AppendLine(Note);
        return text.ToString();
    }

    /// <summary>The results as a table.</summary>
    public string Table()
    {
        var text = new StringBuilder();
        text.AppendLine($"| {string.Join(" | ", Headings)} |").AppendLine("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (string[] row in Rows()) text.AppendLine($"| {string.Join(" | ", row)} |");
        return text.ToString();
    }

    private IEnumerable<string[]> Rows() => Results.Select(r => (string[])
    [
        r.Title,
        r.Tasks.ToString("N0", CultureInfo.InvariantCulture),
        r.ProducedASecond.ToString("N0", CultureInfo.InvariantCulture),
        r.ConsumedASecond.ToString("N0", CultureInfo.InvariantCulture),
        FormattableString.Invariant($"{r.TotalMilliseconds:N1} ms"),
        FormattableString.Invariant($"{r.OverheadMicroseconds:N2} µs"),
        FormattableString.Invariant($"1/{Results.First(f => f.Tasks == r.Tasks).OverheadMicroseconds / r.OverheadMicroseconds:N1}"),
    ]);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(BeforeAfterHead))]
[JsonSerializable(typeof(BeforeAfterResult))]
internal sealed partial class BeforeAfterJson : JsonSerializerContext;
