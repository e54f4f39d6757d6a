using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Results;

// Where results are kept: benchmarks/results/DATE-MACHINE-matrix.jsonl is the run; the report (.md) and two charts follow from it alone.

internal static class ResultFiles
{
    private const string Kind = "-matrix";

    /// <summary>Keeps a run.</summary>
    /// <returns>The report's path.</returns>
    public static string Write(MatrixRun run)
    {
        string report = Path.Combine(Checkout.Results, $"{run.Head.Date[..10]}-{Machine.ShortName}{Kind}.md");
        File.WriteAllLines(Path.ChangeExtension(report, ".jsonl"), run.ToLines());
        MatrixMarkdown.WriteWithCharts(run, report);
        return report;
    }

    /// <summary>The runs that are kept, the newest last.</summary>
    public static IReadOnlyList<(string Stem, MatrixRun Run)> All(string directory) =>
    [
        .. Directory.GetFiles(directory, $"*{Kind}.jsonl")
            .Select(static path => (Stem: Path.GetFileNameWithoutExtension(path), Run: MatrixRun.Parse(File.ReadLines(path))))
            .OrderBy(static kept => kept.Run.Head.Date, StringComparer.Ordinal).ThenBy(static kept => kept.Stem, StringComparer.Ordinal),
    ];
}

/// <summary>The checkout that this program was built from.</summary>
internal static class Checkout
{
    public static string Root { get; } = Find();

    public static string Results => Path.Combine(Root, "benchmarks", "results");

    private static string Find()
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
        {
            if (File.Exists(Path.Combine(d.FullName, "Otto.Ipc.sln"))) return d.FullName;
        }

        throw new DirectoryNotFoundException(
            string.Create(CultureInfo.InvariantCulture,
                $"{AppContext.BaseDirectory} lies in no checkout, so there is no benchmarks/results"));
    }
}
