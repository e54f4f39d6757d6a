using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Who can be killed between the sending and the reading. Whether a restart of the
/// machine is survived is read off the file system.</summary>
internal sealed class PersistenceProbe : Probe
{
    private const int Messages = 100, Bytes = 200, ShortPatience = 2500;
    private static readonly LinkOptions Options = new(Bytes);

    public override Row Row => Row.Persistent;

    public override Cell Try(Subject subject)
    {
        int afterWriter = subject.InProcess ? 0 : AfterWriter(subject);
        (int afterAll, string? fileSystem, string? server) = AfterEverybody(subject);
        bool onDisk = fileSystem is not null && !DirectoryWorkspace.IsInMemory(fileSystem);
        TransportPersistence verdict = Verdicts.Persistent(afterAll == Messages, onDisk);
        string evidence = subject.InProcess
            ? $"the one process was killed with {Messages} messages in the channel: {afterAll} were there for the next"
            : $"of {Messages} messages, {afterWriter} were read after kill -9 of the writer, and {afterAll} by a new process after kill "
            + $"-9 of everybody{(server is null ? "" : $" ({server})")}";
        if (verdict != TransportPersistence.None)
            evidence += $"; they lie on {fileSystem}{(onDisk ? "" : ", which a restart empties")} (no restart was tried)";
        return Found(subject, Verdicts.Word(verdict), evidence, afterAll, $"of {Messages} messages",
            subject.Traits is { } t ? Verdicts.Word(t.Persistent) : null);
    }

    private static int AfterWriter(Subject subject)
    {
        using Workspace workspace = subject.OpenWorkspace(keep: true);
        using EndpointPair pair = new EndpointPair(subject, workspace);
        Fill(pair);
        pair.Sender.Host.Kill();
        return Count(pair.Receiver);
    }

    private static (int Count, string? FileSystem, string? Server) AfterEverybody(Subject subject)
    {
        using Workspace workspace = subject.OpenWorkspace(keep: true);
        using (EndpointPair pair = new EndpointPair(subject, workspace))
        {
            Fill(pair);
            foreach (SubjectProcess host in pair.Hosts) host.Kill();
        }

        string? server = workspace.KillServer();
        using EndpointPair next = new EndpointPair(subject, workspace);
        // Where nobody sends, some ends cannot even be opened; then nothing was kept.
        _ = AnswerOf(() => next.Receiver.Ask(EndpointPair.Verb("inlet", "kept", Options)), out bool opened);
        return (opened ? Count(next.Receiver) : 0, workspace.FileSystem, server);
    }

    private static void Fill(EndpointPair pair)
    {
        pair.Open("kept", Options);
        pair.Sender.Ask($"send {Messages} {Bytes}");
    }

    private static int Count(Side receiver) =>
        Whole(AnswerOf(() => receiver.Ask($"take {Messages} {ShortPatience}"), out bool worked) is { } answer && worked
        ? answer.Split(' ')[0] : "0");
}
