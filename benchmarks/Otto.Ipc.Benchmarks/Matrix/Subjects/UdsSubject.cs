using System.Globalization;
using System.Net.Sockets;
using System.Threading.Channels;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>Unix-domain sockets: streams from process to process, and, where other programs
/// look or take part, the server's store.</summary>
internal sealed class UdsSubject : Subject
{
    private const string Store = "matrix", Socket = "otto.sock";

    public override string Name => "uds";

    public override bool IsColumn => true;

    protected override TransportTraits Declared { get; } = new UdsTransport().Traits;

    public override UsualClaims Usual { get; } = new("fast", "yes", "no", "hard", "medium", "yes", "high", "low", "no", "good");

    public override IReadOnlyList<string> SetUpSteps =>
        ["start otto serve (a stream needs none, the store and topics do)", "open the receiver", "open the sender"];

    public override Server Server => Server.Own;

    public override Workspace OpenWorkspace(bool keep) => new UdsWorkspace();

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new SenderOutlet(Transport(address).OpenSender(channel,
            new UdsStreamOptions { Capacity = Math.Max(new UdsStreamOptions().Capacity, 2 * (options.MaxMessageBytes + 8)) }));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new ReceiverInlet(Transport(address).OpenReceiver(channel));

    public override Outlet OpenShownOutlet(string address, string channel) => new StoreOutlet(OpenStore(address), channel);

    public override Inlet OpenShownInlet(string address, string channel) => new StoreInlet(OpenStore(address), channel);

    public override IEnumerable<DebugCommand> Looks(string address, string channel) =>
    [
        new(Toolbox.Base, "cat", $"cat {Quote(address)}/{Socket}"),
        new(Toolbox.General, "jq", $"jq . {Quote(address)}/{Socket}"),
        new(Toolbox.General, "nc, for a value of the store,",
            $"printf 'GET {Store}.{channel}\\nQUIT\\n' | nc -U {Quote(address)}/{Socket}"),
        new(Toolbox.Own, "otto ipc stat", $"otto ipc stat {channel} --json --interval 0 --dir {Quote(address)}"),
    ];

    public override IEnumerable<ShellScript> Scripts(string address, string channel) =>
    [
        new(
            Toolbox.General,
            "nc",
            $"printf 'SET {Store}.{channel} %s\\nQUIT\\n' \"$MESSAGE\" | nc -U {Quote(address)}/{Socket}",
            $"printf 'GET {Store}.{channel}\\nQUIT\\n' | nc -U {Quote(address)}/{Socket} | head -n 1"),
    ];

    public override string? ConverseWithServer(string address, int requests)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 3000 };
        socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(address, UdsSubject.Socket)));
        using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        using var writer = new StreamWriter(stream) { AutoFlush = true, NewLine = "\n" };
        for (int i = 0; i < requests; i++)
        {
            string value = string.Create(CultureInfo.InvariantCulture, $"\"request {i}\"");
            writer.WriteLine($"SET {Store}.talk {value}");
            if (reader.ReadLine() is not "OK") return null;
            writer.WriteLine($"GET {Store}.talk");
            if (reader.ReadLine() != value) return null;
        }

        return "commands to the server of sockets were answered over the connection they came by; a stream goes one way";
    }

    private static UdsTransport Transport(string address) => new(new UdsTransportOptions { SocketPath = Path.Combine(address, Socket) });

    private static IKeyValueStore OpenStore(string address) => Transport(address).OpenStoreAsync(Store).AsTask().GetAwaiter().GetResult();

    /// <summary>A directory, and the server in a process of its own.</summary>
    private sealed class UdsWorkspace : Workspace
    {
        private readonly DirectoryWorkspace _directory = new(disk: false);
        private SubjectProcess _server;

        public UdsWorkspace() => _server = Serve();

        public override string Address => _directory.Address;

        public override int? ServerId => _server.Id;

        public override string? FileSystem => null;

        public override string KillServer()
        {
            _server.Kill();
            _server.Dispose();
            _server = Serve();
            return "the server among them, which was started again";
        }

        public override void Dispose()
        {
            _server.Dispose();
            _directory.Dispose();
        }

        private SubjectProcess Serve()
        {
            SubjectProcess server = new SubjectProcess();
            new Side(server, 0, "the server of sockets").Ask($"serve-sockets {Path.Combine(_directory.Address, Socket)}");
            return server;
        }
    }

    /// <summary>Messages as the values of a key.</summary>
    private sealed class StoreOutlet(IKeyValueStore store, string key) : Outlet
    {
        protected override void Send(byte[] buffer, int bytes) => store.SetAsync(key, buffer.AsMemory(0, bytes)).AsTask().Wait(Patience);

        public override void Dispose() => store.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private sealed class StoreInlet : Inlet
    {
        private readonly Channel<byte[]> _news = Channel.CreateUnbounded<byte[]>();
        private readonly IKeyValueStore _store;
        private readonly IStoreWatch _watch;
        private readonly Task _watching;

        public StoreInlet(IKeyValueStore store, string key)
        {
            _store = store;
            _watch = store.WatchAsync(key).AsTask().GetAwaiter().GetResult();
            _watching = Task.Run(async () =>
            {
                await foreach (StoreChange change in _watch) _news.Writer.TryWrite(change.Value.ToArray());
            });
        }

        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            bool got = _news.Reader.TryRead(out byte[]? value);
            message = value;
            return got;
        }

        protected override void Sleep(TimeSpan most) => _news.Reader.WaitToReadAsync().AsTask().Wait(most);

        public override void Dispose()
        {
            _watch.DisposeAsync().AsTask().GetAwaiter().GetResult();
            _watching.ContinueWith(static _ => { }, TaskScheduler.Default).Wait(TimeSpan.FromSeconds(5));
            _store.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }
}
