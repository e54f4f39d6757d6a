using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Whether the first frame can be read while the sender still runs, and whether
/// more passes than there is room for.</summary>
internal sealed class StreamingProbe : Probe
{
    private const int Frame = 4096, Frames = 10_240;

    public override Row Row => Row.Streaming;

    public override Cell Try(Subject subject)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        pair.Open("run", new LinkOptions(Frame));

        pair.Receiver.Request("take 1");
        pair.Sender.Request($"send 1 {Frame}");
        pair.Sender.ReadAnswer();
        (int first, long firstRead) = Taken(pair.Receiver.ReadAnswer());
        bool alive = pair.Sender.Host.IsRunning;

        pair.Receiver.Request($"take {Frames}");
        pair.Sender.Request($"send {Frames} {Frame}");
        long sent = long.Parse(pair.Sender.ReadAnswer(), System.Globalization.CultureInfo.InvariantCulture);
        int rest = Taken(pair.Receiver.ReadAnswer()).Count;
        pair.Sender.Ask("complete");

        bool early = first == 1 && alive && firstRead < sent, whole = rest == Frames;
        double ahead = (sent - firstRead) * 1000.0 / Stopwatch.Frequency;
        string evidence = early
            ? $"the first of {Text(Frames + 1)} frames was read {Text(ahead, "N0")} ms before the sender ended; {Text(rest)} more of "
            + $"{Text(Frame)} B came whole and in order, {Text((long)Frames * Frame >> 20)} MiB in all"
            : $"{first} of 1 frame was read before the sender ended";
        if (early && !whole)
            evidence = $"the first frame was read before the sender ended, but then only {Text(rest)} of {Text(Frames)} came";
        return Found(subject, Verdicts.Word(Verdicts.Streaming(early, whole)), evidence, Math.Round(ahead), "ms ahead",
            subject.Traits is { } t ? Verdicts.Word(t.Streaming) : null);
    }

    private static (int Count, long When) Taken(string answer)
    {
        string[] words = answer.Split(' ');
        return (Whole(words[0]), long.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture));
    }
}
