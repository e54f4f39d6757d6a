using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>What has to happen before a first message, and how long that takes two programs
/// that have just started.</summary>
internal sealed class SetUpProbe : Probe
{
    private const int Repeats = 3;

    public override Row Row => Row.SetUp;

    public override Cell Try(Subject subject)
    {
        double best = double.MaxValue;
        for (int i = 0; i < Repeats; i++) best = Math.Min(best, Once(subject));
        int steps = subject.SetUpSteps.Count;
        string server = subject.Server switch
        {
            Server.None => "no server",
            Server.Own => "a server of this project",
            _ => "a server to install and look after",
        };
        string evidence = $"{steps} {(steps == 1 ? "step" : "steps")} ({string.Join(", ", subject.SetUpSteps)}), {server}; {Text(best)} "
            + $"ms to the first message between programs that had just started, best of {Repeats}";
        return Found(subject, Verdicts.Word(Verdicts.SetUp(steps, subject.Server, TimeSpan.FromMilliseconds(best))), evidence,
            Math.Round(best), "ms",
            subject.Traits is { } t ? Verdicts.Word(t.SetUp) : null);
    }

    private static double Once(Subject subject)
    {
        // The start of the two programs is everybody's; what a server needs is its transport's own.
        long start = Stopwatch.GetTimestamp();
        using Workspace workspace = subject.OpenWorkspace();
        TimeSpan opening = Stopwatch.GetElapsedTime(start);
        using EndpointPair pair = new EndpointPair(subject, workspace);
        start = Stopwatch.GetTimestamp();
        pair.Open("first", new LinkOptions(1024));
        pair.Receiver.Request("hear");
        pair.Sender.Request("say hello");
        pair.Receiver.ReadAnswer();
        return (opening + Stopwatch.GetElapsedTime(start)).TotalMilliseconds;
    }
}
