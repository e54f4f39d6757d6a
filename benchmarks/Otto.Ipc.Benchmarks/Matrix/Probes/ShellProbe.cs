using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Whether a bash script sends to a .NET program and receives from one, with which
/// programs and in how many lines.</summary>
internal sealed class ShellProbe : Probe
{
    // What a system has before anybody installs anything: coreutils, grep, sed, util-linux.
    private static readonly string[] BasePrograms =
        ["bash", "cat", "head", "tail", "ls", "mkdir", "mv", "rm", "ln", "touch", "grep", "sed", "cut", "tr", "wc", "sort", "flock",
            "mkfifo", "sleep", "timeout", "mktemp", "date", "stat", "env", "dirname", "basename"];

    public override Row Row => Row.ShellFriendly;

    public override Cell Try(Subject subject)
    {
        List<string> tried = [];
        using Workspace workspace = subject.OpenWorkspace();
        int attempt = 0;
        string? missing = null;
        foreach (ShellScript script in Scripts(subject, workspace).OrderBy(s => s.Toolbox))
        {
            string channel = $"shell{++attempt}";
            ShellScript mine = subject.Scripts(workspace.Address, channel).Single(
                s => s.Toolbox == script.Toolbox && s.Programs == script.Programs);
            if (mine.Programs.Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(
                static p => !ProgramDirectory.Has(p)) is { } program)
            {
                missing ??= $"{program} is not installed";
                continue;
            }

            string? problem = TryScript(subject, workspace, channel, mine);
            int lines = Lines(mine.Send) + Lines(mine.Receive);
            string with = mine.Programs.Length == 0 ? "the programs of every system" : mine.Programs;
            if (problem is not null)
            {
                tried.Add($"with {with}: {problem}");
                continue;
            }

            tried.Add($"{Count(Lines(mine.Send), "line")} of bash sent to .NET and {Count(Lines(mine.Receive), "line")} received from "
                + $"it, with {with} and nothing else on the PATH");
            return Found(subject, Verdicts.Word(Verdicts.Ease(mine.Toolbox)), string.Join("; ", tried), lines, "lines of bash",
                Claim(subject));
        }

        if (missing is not null) throw new MissingProgramException(missing);
        return Found(subject, Verdicts.Word(Verdicts.Ease(Toolbox.None)),
            tried.Count == 0 ? "a script has no way into another process's objects" : string.Join("; ", tried), claim: Claim(subject));
    }

    private static IEnumerable<ShellScript> Scripts(Subject subject, Workspace workspace) => subject.Scripts(workspace.Address, "shell");

    private static string? Claim(Subject subject) => subject.Traits is { } t ? Verdicts.Word(t.ShellFriendly) : null;

    /// <returns>What went wrong; <see langword="null"/> where it worked both ways.</returns>
    private static string? TryScript(Subject subject, Workspace workspace, string channel, ShellScript script)
    {
        using var path = new ProgramDirectory([.. BasePrograms, .. script.Programs.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        using EndpointPair pair = new EndpointPair(subject, workspace);
        string sent = $"{{\"from\":\"bash\",\"n\":\"{Guid.NewGuid():N}\"}}", back = $"{{\"from\":\"dotnet\",\"n\":\"{Guid.NewGuid():N}\"}}";

        pair.Receiver.Ask($"shown-inlet {channel}");
        pair.Receiver.Request("hear 10000");
        ShellRun sending = Shell.Run(script.Send, TimeSpan.FromSeconds(10), path.Path, message: sent);
        string heard = AnswerOf(pair.Receiver.ReadAnswer, out bool worked);
        pair.Receiver.Ask("close");
        if (!worked || heard != sent) return $"sending: {(sending.Errors.Length > 0 ? sending.Errors.Trim() : heard)}";

        // A channel of its own, and an end of it that a sender may wait for.
        string other = channel + "-back";
        ShellScript returning =
            subject.Scripts(workspace.Address, other).Single(s => s.Toolbox == script.Toolbox && s.Programs == script.Programs);
        bool kept = !subject.SendsOnlyToAReceiver;
        if (subject.Traits is null) pair.Receiver.Ask($"shown-inlet {other}");
        pair.Sender.Ask($"shown-outlet {other}");
        pair.Sender.Request($"say {back}");
        if (kept) pair.Sender.ReadAnswer();
        ShellRun receiving = Shell.Run(returning.Receive, TimeSpan.FromSeconds(10), path.Path);
        if (!kept) _ = AnswerOf(pair.Sender.ReadAnswer, out _);
        return receiving.Output.Contains(back, StringComparison.Ordinal) ? null
            : $"receiving: {(receiving.Errors.Length > 0 ? receiving.Errors.Trim() : $"'{receiving.Output.Trim()}'")}";
    }

    private static int Lines(string script) => script.Split('\n').Count(l => l.Trim().Length > 0);

    private static string Count(int number, string what) => $"{number} {what}{(number == 1 ? "" : "s")}";
}

/// <summary>A directory with links to some programs: a PATH on which there is nothing else.</summary>
internal sealed class ProgramDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Interruption.NewDirectory(System.IO.Path.GetTempPath());

    public ProgramDirectory(IEnumerable<string> programs)
    {
        foreach (string program in programs)
        {
            // A system without one of these is one on which a script that needs it fails, and says so.
            if (PathOf(program) is { } found) File.CreateSymbolicLink(System.IO.Path.Combine(Path, program), found);
        }
    }

    public string Path => _directory.FullName;

    public static bool Has(string program) => PathOf(program) is not null;

    public void Dispose() => Interruption.Remove(_directory);

    private static string? PathOf(string program) =>
        System.IO.Path.Combine(BuiltTools.Directory, program) is var built && File.Exists(built) ? built
        : InstalledPrograms.PathOf(program);
}
