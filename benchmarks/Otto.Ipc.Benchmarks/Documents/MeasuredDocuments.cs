using System.Text;
using System.Text.RegularExpressions;
using Otto.Ipc.Benchmarks.BeforeAfter;
using Otto.Ipc.Benchmarks.Matrix;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Documents;

// What the documents say of measurements is written by this file, out of the newest results, and by nobody else:
//
//  <!-- measured: matrix -->                         a whole section, up to  <!-- /measured -->
//  [word, number](report#row "measured: uds, speed") one cell: the text and the target of the link

/// <summary>The documents of a checkout, with the newest results in them.</summary>
internal sealed partial class MeasuredDocuments
{
    private const string ResultsPath = "benchmarks/results/";
    private readonly string _root;
    private readonly (string Stem, MatrixRun Run) _matrix;
    private readonly (string Stem, BeforeAfterReport Report) _beforeAfter;

    /// <param name="root">The checkout.</param>
    /// <exception cref="InvalidDataException">It holds no results.</exception>
    public MeasuredDocuments(string root)
    {
        _root = root;
        string results = Path.Combine(root, ResultsPath);
        if (ResultFiles.All(results) is not [.., var matrix])
            throw new InvalidDataException($"{ResultsPath} holds no run of the matrix; eng/bench matrix --results makes one");
        if (BeforeAfterReport.All(results) is not [.., var beforeAfter])
            throw new InvalidDataException($"{ResultsPath} holds no run of before-after; eng/bench before-after --results makes one");
        (_matrix, _beforeAfter) = (matrix, beforeAfter);
    }

    /// <summary>Each document that measurements stand in, as it has to be; paths are
    /// relative to the checkout.</summary>
    public IEnumerable<(string Path, string Text)> All()
    {
        string stem = ResultsPath + _matrix.Stem;
        yield return (stem + ".md", MatrixMarkdown.Report(_matrix.Run, _matrix.Stem));
        yield return (stem + MatrixMarkdown.ThroughputSuffix, Charts.MatrixCharts.Throughput(_matrix.Run));
        yield return (stem + MatrixMarkdown.LatencySuffix, Charts.MatrixCharts.Latency(_matrix.Run));
        yield return ($"{ResultsPath}{_beforeAfter.Stem}.md", _beforeAfter.Report.ToMarkdown());
        foreach (string path in Directory.GetFiles(Path.Combine(_root, "docs"), "*.md").Order(StringComparer.Ordinal).Prepend(
            Path.Combine(_root, "README.md")))
        {
            string relative = Path.GetRelativePath(_root, path);
            yield return (relative, Fill(File.ReadAllText(path), relative));
        }
    }

    /// <summary>The documents that do not say what was measured.</summary>
    public IEnumerable<string> Stale() =>
        All().Where(d => !File.Exists(Path.Combine(_root, d.Path)) || File.ReadAllText(Path.Combine(_root, d.Path)) != d.Text).Select(
            static d => d.Path);

    /// <summary>A document with its sections and links filled anew.</summary>
    /// <param name="text">The document.</param>
    /// <param name="path">Where it lies in the checkout: links start there.</param>
    /// <exception cref="InvalidDataException">It asks for a section or a cell that there is not.</exception>
    public string Fill(string text, string path)
    {
        string up = string.Concat(path.Where(static c => c == '/').Select(static _ => "../"));
        text = Section().Replace(text,
            m => $"<!-- measured: {m.Groups[1].Value} -->\n{SectionOf(m.Groups[1].Value, up)}<!-- /measured -->");
        return Link().Replace(text, m => LinkOf(m.Groups[1].Value, m.Groups[2].Value, up));
    }

    private string SectionOf(string name, string up) => name switch
    {
        "matrix" => Matrix(up),
        "before-after" => $"{_beforeAfter.Report.Table()}\n[With machine, commit and "
            + $"command]({up}{ResultsPath}{_beforeAfter.Stem}.md){(_beforeAfter.Report.Noise is { } noise ? $". **{noise}**" : ".")}\n",
        _ => throw new InvalidDataException($"there is no measured section '{name}'; there are matrix, before-after"),
    };

    private string Matrix(string up)
    {
        (string stem, MatrixRun run) = _matrix;
        string at = up + ResultsPath + stem;
        var text = new StringBuilder(MatrixMarkdown.Table(run)).AppendLine();
        text.AppendLine($"{run.Head.Machine}; {run.Head.Kernel}; .NET SDK {run.Head.Sdk}; commit `{run.Head.Commit}`; "
            + $"`{run.Head.Command}`, {run.Head.Date}.");
        string warning = run.Noise is { } noise ? $" **{noise}**" : "";
        text.AppendLine($"[The report]({at}.md) has the evidence for each cell, and all figures.{warning}").AppendLine();
        text.AppendLine($"![Messages a second by size, log axes]({at}{MatrixMarkdown.ThroughputSuffix})").AppendLine();
        text.AppendLine($"![Round trips of 64 B by percentile, log axes]({at}{MatrixMarkdown.LatencySuffix})");
        return text.ToString();
    }

    private string LinkOf(string subject, string row, string up)
    {
        Row wanted = Enum.GetValues<Row>().Where(r => Verdicts.Word(r) == row).Cast<Row?>().FirstOrDefault()
            ?? throw new InvalidDataException(
                $"there is no row '{row}'; there are {string.Join(", ", Enum.GetValues<Row>().Select(Verdicts.Word))}");
        Cell cell = _matrix.Run.At(wanted, subject) ?? throw new InvalidDataException($"the newest run has no cell '{subject}, {row}'");
        return $"[{MatrixMarkdown.Short(cell)}]({up}{ResultsPath}{_matrix.Stem}.md#{row.Replace(' ', '-')} \"measured: {subject}, {row}\")";
    }

    [GeneratedRegex(@"<!-- measured: ([\w-]+) -->.*?<!-- /measured -->", RegexOptions.Singleline)]
    private static partial Regex Section();

    [GeneratedRegex(@"\[[^\[\]]*\]\([^()\s]* ""measured: ([\w-]+), ([\w -]+)""\)")]
    private static partial Regex Link();
}
