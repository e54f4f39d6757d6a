using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>What a message of a busy run costs all processes that it passes, and what waiting costs.</summary>
internal sealed class OverheadProbe(IReadOnlyList<SpeedResult> results, IdleWakeups idle) : Probe
{
    private const int WindowMilliseconds = 300;

    public override Row Row => Row.Overhead;

    public override Cell Try(Subject subject)
    {
        SpeedResult smallest = results.Where(r => r.Subject == subject.Name).MinBy(r => r.Bytes)
            ?? throw new ProbeException(SpeedResult.NeverTaken);
        double cpu = smallest.CpuMicroseconds;
        TransportLevel verdict = Verdicts.Overhead(cpu, subject.Leaning?.Overhead);
        string evidence = $"{Text(cpu, "0.###")} µs of processor time for a message of {smallest.SentBytes} "
            + $"B{Leaned(subject, Verdicts.Word(Verdicts.Overhead(cpu)), Verdicts.Word(verdict))}, "
            + $"{(subject.InProcess ? "sender and receiver" : subject.Server == Server.None ? "both ends" : "both ends and the server")}; "
            + $"{SystemCallsOf(subject, smallest.SentBytes)}; {Text(smallest.AllocatedBytes, "0.#")} B allocated a message; "
            + $"{Text(idle.Of(subject.Name), "0.#")} wake-ups a second while idle (a bare runtime: {Text(idle.Bare, "0.#")})";
        return Found(subject, Verdicts.Word(verdict), evidence, Math.Round(cpu, 3), "µs CPU a message",
            subject.Traits is { } t ? Verdicts.Word(t.Overhead) : null);
    }

    private static string SystemCallsOf(Subject subject, int bytes)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        pair.Open("counted", new LinkOptions(bytes));
        int[] processes = [.. pair.Hosts.Select(h => h.Id), .. workspace.ServerId is { } server ? new[] { server } : []];
        using SystemCalls calls = SystemCalls.Start(processes);
        pair.Receiver.Request("drain");
        pair.Sender.Request($"pour {WindowMilliseconds} {bytes}");
        double messages = double.Parse(pair.Sender.ReadAnswer().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        pair.Receiver.ReadAnswer();
        return $"{Text(calls.Stop() / messages, "0.###")} {calls.What} a message";
    }
}
