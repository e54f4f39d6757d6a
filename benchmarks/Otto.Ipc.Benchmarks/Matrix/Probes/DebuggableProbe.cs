using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Which tool shows a message that waits, and leaves it to its receiver.</summary>
internal sealed class DebuggableProbe : Probe
{
    private const int NotInstalled = 127;

    public override Row Row => Row.Debuggable;

    public override Cell Try(Subject subject)
    {
        using Workspace workspace = subject.OpenWorkspace();
        using EndpointPair pair = new EndpointPair(subject, workspace);
        pair.OpenShown("looked-at");
        List<string> seen = [];
        Toolbox least = Toolbox.None;
        List<DebugCommand> missing = [];
        int i = 0;
        foreach (DebugCommand look in subject.Looks(workspace.Address, "looked-at"))
        {
            string marker = $"marker-{++i}-{Guid.NewGuid():N}";
            pair.Sender.Ask($"say {{\"probe\":\"{marker}\"}}");
            ShellRun run = Shell.Run(look.Command, TimeSpan.FromSeconds(5), tools: true);
            bool shown = run.Output.Contains(marker, StringComparison.Ordinal), text = !run.Output.Contains('\0', StringComparison.Ordinal);
            string after = AnswerOf(() => pair.Receiver.Ask("hear 2500"), out bool heard);
            bool left = heard && after.Contains(marker, StringComparison.Ordinal);
            if (run.Code == NotInstalled) missing.Add(look);
            seen.Add(look.Tool + (shown, text, left) switch
            {
                (true, true, true) => " shows it",
                (true, true, false) => " shows it and takes it from its receiver",
                (true, false, _) => $" shows it among {Text(run.Output.Length)} characters that are no text",
                _ => run.Output.Length > 0 ? " shows other things, not the payload"
                    : $" shows nothing{(run.Errors.Length > 0 ? $" ({FirstLine(run.Errors)})" : "")}",
            });
            if (shown && text && left && look.Toolbox < least) least = look.Toolbox;
        }

        if (missing.FirstOrDefault(m => m.Toolbox < least) is { } untried)
            throw new MissingProgramException($"{untried.Tool} is not installed; {string.Join("; ", seen)}");
        string evidence = seen.Count == 0 ? "no tool looks into another process's objects" : string.Join("; ", seen);
        return Found(subject, Verdicts.Word(Verdicts.Debuggable(least)), evidence,
            seen.Count(s => s.EndsWith(" shows it", StringComparison.Ordinal)), $"of {seen.Count} tools",
            subject.Traits is { } t ? Verdicts.Word(t.Debuggable) : null);
    }

    private static string FirstLine(string text)
    {
        string line = text.Split('\n')[0].Trim();
        return line.Length > 80 ? line[..80] + "…" : line;
    }
}
