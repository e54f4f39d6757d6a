using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>The largest message that goes through whole, and what happens to one that is a byte larger.</summary>
internal sealed class SizeProbe : Probe
{
    // A message lies in both programs, in what is between them, and in what either has in hand.
    private const int Copies = 8;

    public override Row Row => Row.SizeLimits;

    public override Cell Try(Subject subject)
    {
        long claimed = subject.MaxMessageBytes ?? Verdicts.NoLimitBytes;
        long tried = Math.Min(claimed, AvailableBytes() / Copies);
        string? largest = Through(subject, tried, out string? problem);
        bool all = tried == claimed;
        string? beyond = all && subject.MaxMessageBytes is { } limit ? Beyond(subject, limit) : null;
        string evidence = largest is null ? $"{Text(tried)} B did not go through: {problem}" : $"{Text(tried)} B went through whole";
        if (!all) evidence += $"; {Text(claimed)} B were not tried, for want of memory";
        if (beyond is not null) evidence += $"; one byte more: {beyond}";

        string? objection = largest is null ? $"its traits say {Text(claimed)} B, and those did not go through"
            : all && subject.MaxMessageBytes is not null && beyond is null ? $"its traits say {Text(claimed)} B, and one more went through"
            : null;
        bool limited = subject.MaxMessageBytes is not null && (!all || beyond is not null)
            || Verdicts.SizeLimits(largest is null ? 0 : tried);
        return Found(subject, Verdicts.Word(limited), evidence, largest is null ? 0 : tried, "B",
            subject.Traits is { } t ? Verdicts.Word(t.MaxMessageBytes is not null) : null,
            subject.Traits is null ? null : objection);
    }

    /// <returns>How much came whole; <see langword="null"/> where that did not work.</returns>
    private static string? Through(Subject subject, long bytes, out string? problem)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace, withoutPrivileges: true);
        problem = AnswerOf(
            () =>
            {
                pair.Open("large", new LinkOptions((int)bytes));
                pair.Receiver.Request("check");
                pair.Sender.Request($"whole {bytes}");
                return pair.Sender.ReadAnswer();
            },
            out bool sent);
        if (!sent) return null;
        problem = AnswerOf(pair.Receiver.ReadAnswer, out bool came);
        return came ? problem : null;
    }

    /// <returns>The error; <see langword="null"/> where it went through.</returns>
    private static string? Beyond(Subject subject, long limit)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace, withoutPrivileges: true);
        string answer = AnswerOf(
            () =>
            {
                // Its ends are asked for that much: what refuses it must be the transport, and not its options.
                pair.Open("larger", new LinkOptions((int)(limit + 1)));
                return pair.Sender.Ask($"whole {limit + 1}");
            },
            out bool sent);
        if (!sent) return $"'{answer}'";
        // It may have been taken and then lost on the way.
        answer = AnswerOf(() => pair.Receiver.Ask("check"), out bool came);
        return came ? null : $"'{answer}'";
    }

    private static long AvailableBytes()
    {
        string? line = File.Exists("/proc/meminfo")
            ? File.ReadLines("/proc/meminfo").FirstOrDefault(static l => l.StartsWith("MemAvailable", StringComparison.Ordinal)) : null;
        return line is null ? 1L << 30
            : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
                System.Globalization.CultureInfo.InvariantCulture) * 1024;
    }
}
