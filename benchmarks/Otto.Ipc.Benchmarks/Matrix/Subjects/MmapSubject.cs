using System.Numerics;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>Streams in shared memory.</summary>
internal sealed class MmapSubject : Subject
{
    private const int Room = MmapStreamOptions.DefaultCapacity;

    public override string Name => "mmap";

    public override bool IsColumn => true;

    protected override TransportTraits Declared { get; } = new MmapTransport().Traits;

    public override UsualClaims Usual { get; } = new("very fast", "partial", "yes", "hard", "hard", "yes", "high", "low", "yes", "fair");

    public override string? Missing => Directory.Exists("/dev/shm") ? null : "there is no /dev/shm here";

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new SenderOutlet(Transport(address).OpenSender(channel, Options(options)));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new ReceiverInlet(Transport(address).OpenReceiver(channel, Options(options)));

    public override IEnumerable<DebugCommand> Looks(string address, string channel) =>
    [
        new(Toolbox.Base, "cat", $"cat {Quote(address)}/{channel}*"),
        new(Toolbox.General, "jq", $"jq . {Quote(address)}/{channel}*"),
        new(Toolbox.General, "nc", $"nc -U -w 1 {Quote(address)}/{channel}.stream"),
        new(Toolbox.Own, "otto ipc stat", $"otto ipc stat {channel} --json --interval 0 --dir {Quote(address)}"),
    ];

    public override IEnumerable<ShellScript> Scripts(string address, string channel) =>
        [new(Toolbox.Own, "otto", $"printf '%s\\n' \"$MESSAGE\" | otto send {channel} --transport {Quote("mmap://" + address)}",
            $"otto recv {channel} --count 1 --transport {Quote("mmap://" + address)}")];

    private static MmapTransport Transport(string address) => new(new MmapTransportOptions { Directory = address });

    // The largest message is half the ring, less its header.
    private static MmapStreamOptions Options(LinkOptions options) => new()
    {
        Capacity = Math.Max(Room, (int)Math.Min(1 << 30, BitOperations.RoundUpToPowerOf2(2 * ((ulong)options.MaxMessageBytes + 8)))),
        MaxSenders = options.MaxMessageBytes > Room / 4 ? 1 : MmapStreamOptions.DefaultMaxSenders,
        SpinLimit = options.Waiting == WaitStyle.Asleep ? TimeSpan.Zero : new MmapStreamOptions().SpinLimit,
    };
}
