using System.Globalization;
using Spectre.Console;

namespace Otto.Ipc.Benchmarks.Measuring;

// Where results go: a table for people, a file of JSON lines for machines.

internal sealed class Report(FileInfo? json, bool lines = false) : IDisposable
{
    private readonly StreamWriter? _lines = json is null ? null : new StreamWriter(json.FullName, append: false) { AutoFlush = true };
    private readonly List<Result> _results = [];

    public void Add(Result result)
    {
        _results.Add(result);
        _lines?.WriteLine(result.ToJson());
        if (lines) Console.WriteLine(result.ToJson());
        Console.Error.WriteLine($"  {result.Scenario} {result.Transport} {result.Mode} {result.Bytes} B: {Number(result)}");
    }

    public void Print()
    {
        if (lines) return;
        // Without a terminal there is no width to fit into.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 160;
        var table = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["scenario", "transport", "mode", "bytes", "median", "p99", "peer", "ratio", "spread"])
            table.AddColumn(heading);
        foreach (Result r in _results)
        {
            table.AddRow(
                r.Scenario, r.Transport, r.Mode ?? "", r.Bytes.ToString("N0", CultureInfo.InvariantCulture), Number(r),
                r.P99 is { } p99 ? $"{p99:N2} µs" : "", r.Peer is { } peer ? $"{r.PeerName} {Format(peer)}" : "",
                r.RatioToPeer is { } ratio ? ratio.ToString("0.00", CultureInfo.InvariantCulture) : "",
                r.Spread.ToString("0.00", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
        if (_results.Any(r => r.Spread > 1.5))
            AnsiConsole.MarkupLine("The machine is noisy (a spread over 1.5): trust ratios, not numbers.");
    }

    public void Dispose() => _lines?.Dispose();

    private static string Number(Result r) => $"{Format(r.Value)} {r.Unit}";

    private static string Format(double value) => value.ToString(value < 100 ? "0.###" : "N0", CultureInfo.InvariantCulture);
}
