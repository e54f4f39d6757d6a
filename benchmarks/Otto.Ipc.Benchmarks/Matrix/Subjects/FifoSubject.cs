using Otto.Ipc.Fifo;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>Streams over named pipes.</summary>
internal sealed class FifoSubject : Subject
{
    private const int MostLineBytes = FifoStreamOptions.DefaultMaxMessageBytes;

    public override string Name => "fifo";

    public override bool IsColumn => true;

    protected override TransportTraits Declared { get; } = new FifoTransport().Traits;

    public override UsualClaims Usual { get; } = new("fast", "yes", "no", "hard", "easy", "no", "medium", "low", "no", "good");

    public override bool SendsOnlyToAReceiver => true;

    // A message of 1 MiB does not fit into the largest pipe that is given without privileges.
    public override int MostMeasuredBytes => (int)Math.Min(1 << 20, Declared.MaxMessageBytes!.Value);

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new SenderOutlet(Transport(address).OpenSender(channel, Options(options)));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new ReceiverInlet(Transport(address).OpenReceiver(channel, Options(options)));

    public override IEnumerable<DebugCommand> Looks(string address, string channel) =>
    [
        new(Toolbox.Base, "cat", $"timeout 1 cat {Quote(address)}/{channel}.fifo"),
        new(Toolbox.General, "jq", $"timeout 1 jq -c --unbuffered . {Quote(address)}/{channel}.fifo"),
        new(Toolbox.General, "nc", $"nc -U -w 1 {Quote(address)}/{channel}.fifo"),
        new(Toolbox.Own, "otto ipc stat", $"otto ipc stat {channel} --json --interval 0 --dir {Quote(address)}"),
    ];

    public override IEnumerable<ShellScript> Scripts(string address, string channel) =>
        [new(Toolbox.Base, "", $"printf '%s\\n' \"$MESSAGE\" > {Quote(address)}/{channel}.fifo",
            $"head -n 1 < {Quote(address)}/{channel}.fifo")];

    private static FifoTransport Transport(string address) => new(new FifoTransportOptions { Directory = address });

    // Lines, for the harness's messages have no line feed in them and shells take part; but large ones as what is large is sent.
    private static FifoStreamOptions Options(LinkOptions options) =>
        new() { Framing = options.MaxMessageBytes > MostLineBytes ? FifoFraming.LengthPrefixed : FifoFraming.Lines,
            MaxMessageBytes = options.MaxMessageBytes };
}
