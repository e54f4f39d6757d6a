using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Otto.Ipc.Benchmarks.Measuring;

// The same work in bare C, run between our runs, so that a ratio means something on a machine whose speed drifts.

/// <summary>A program that prints what the hardware allows: <c>spsc N SIZE</c>, <c>ping N
/// SIZE</c>, <c>futex N</c>, <c>pipe N SIZE</c>.</summary>
internal sealed partial class NativeBaseline(string? program)
{
    public bool IsThere => program is not null;

    /// <summary>Messages a second through a bare ring of that message size.</summary>
    public double? RingRate(int bytes, long messages) => Run($"spsc {messages} {bytes}", MessagesPerSecond());

    /// <summary>Median round trip in µs over two spinning cache lines, or over a futex.</summary>
    public double? RoundTrip(bool spin, int bytes, long trips) =>
        Run(spin ? $"ping {trips} {bytes}" : $"futex {trips}", MedianNanoseconds()) / 1000;

    /// <summary>Median round trip in µs over two pipes.</summary>
    public double? PipeRoundTrip(int bytes, long trips) => Run($"pipe {trips} {bytes}", MedianNanoseconds()) / 1000;

    private double? Run(string arguments, Regex wanted)
    {
        if (program is null) return null;
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Match match = wanted.Match(output);
        return match.Success
            ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"{program} {arguments} printed no figure: {output}");
    }

    [GeneratedRegex(@"msg_per_s=(\d+)")]
    private static partial Regex MessagesPerSecond();

    [GeneratedRegex(@"p50=(\d+)")]
    private static partial Regex MedianNanoseconds();
}
