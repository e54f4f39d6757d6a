using Otto.Ipc.Files;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>Streams as append-only logs, on a disk where there is one.</summary>
internal sealed class FilesSubject : Subject
{
    private const int Room = FilesStreamOptions.DefaultCapacity;

    public override string Name => "files";

    public override bool IsColumn => true;

    protected override TransportTraits Declared { get; } = new FilesTransport().Traits;

    public override UsualClaims Usual { get; } = new("slow", "no", "yes", "easy", "easy", "yes", "low", "medium", "no", "excellent");

    public override Workspace OpenWorkspace(bool keep) => new DirectoryWorkspace(disk: true);

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new SenderOutlet(Transport(address).OpenSender(channel, Options(options)));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new ReceiverInlet(Transport(address).OpenReceiver(channel, Options(options)));

    public override IEnumerable<DebugCommand> Looks(string address, string channel) =>
    [
        new(Toolbox.Base, "cat", $"cat {Quote(address)}/streams/{channel}/lanes/*/*.jsonl"),
        new(Toolbox.General, "jq", $"jq -c . {Quote(address)}/streams/{channel}/lanes/*/*.jsonl"),
        new(Toolbox.General, "nc", $"nc -U -w 1 {Quote(address)}/streams/{channel}/lanes/0/*.jsonl"),
        new(Toolbox.Own, "otto ipc stat", $"otto ipc stat {channel} --json --interval 0 --dir {Quote(address)}"),
    ];

    // A lane of its own to send in, as the documentation shows it; to read, the log itself.
    public override IEnumerable<ShellScript> Scripts(string address, string channel) =>
    [
        new(
            Toolbox.Base,
            "",
            $"""
            lane={Quote(address)}/streams/{channel}/lanes/script
            mkdir -p -m 700 "$lane"
            exec 9> "$lane/lock"
            flock 9
            echo "$MESSAGE" >> "$lane/00000000000000000000.jsonl"
            """,
            $"tail -n +1 -q -f {Quote(address)}/streams/{channel}/lanes/0/*.jsonl | head -n 1"),
    ];

    private static FilesTransport Transport(string address) => new(new FilesTransportOptions { Directory = address });

    // Bytes that are no JSON would take a third more; the room is for them too.
    private static FilesStreamOptions Options(LinkOptions options) => new()
    {
        Capacity = (int)Math.Min(1 << 30, Math.Max(Room, options.MaxMessageBytes * 3L)),
        MaxMessageBytes = options.MaxMessageBytes,
        MaxSenders = 2,
    };
}
