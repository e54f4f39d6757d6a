using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Bare sockets, as one would write them by hand: one connection, lengths before messages. A talk takes one connection, both ways.

internal abstract class SocketSubject : Subject
{
    protected abstract Socket Create();

    protected abstract void Listen(Socket listener, string address, string channel);

    protected abstract EndPoint Find(string address, string channel);

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) => new SocketOutlet(Connect(address, channel));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new SocketInlet(Accept(address, channel), options.Waiting == WaitStyle.Awake);

    public override DuplexEndpoint OpenTalk(string address, string channel, bool caller, LinkOptions options)
    {
        Connection connection = caller ? Connect(address, channel) : Accept(address, channel);
        return new DuplexEndpoint(new SocketOutlet(connection), new SocketInlet(connection, options.Waiting == WaitStyle.Awake));
    }

    public override DuplexEndpoint OpenTalkOverOne(string address, string channel, bool caller, LinkOptions options) =>
        OpenTalk(address, channel, caller, options);

    private Connection Connect(string address, string channel)
    {
        for (long start = Stopwatch.GetTimestamp(); ;)
        {
            Socket socket = Create();
            try
            {
                socket.Connect(Find(address, channel));
                return new Connection(() => socket);
            }
            catch (Exception e) when (e is SocketException or FileNotFoundException
                && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(20))
            {
                socket.Dispose(); // Nobody listens yet.
                Thread.Sleep(1);
            }
        }
    }

    private Connection Accept(string address, string channel)
    {
        Socket listener = Create();
        Listen(listener, address, channel);
        listener.Listen(1);
        return new Connection(() =>
        {
            using Socket waiting = listener;
            return waiting.Accept();
        });
    }

    /// <summary>A socket that may still have to be accepted: opening does not wait for the other side.</summary>
    private sealed class Connection(Func<Socket> open) : IDisposable
    {
        private Socket? _socket;

        public Socket Socket
        {
            get
            {
                if (_socket is not null) return _socket;
                _socket = open();
                if (_socket.ProtocolType == ProtocolType.Tcp) _socket.NoDelay = true;
                return _socket;
            }
        }

        public void Dispose() => _socket?.Dispose();
    }

    private sealed class SocketOutlet(Connection connection) : FramedOutlet
    {
        protected override void Write(ReadOnlySpan<byte> bytes)
        {
            Socket socket = connection.Socket;
            while (bytes.Length > 0)
            {
                int sent = socket.Send(bytes, SocketFlags.None, out SocketError error);
                if (error == SocketError.WouldBlock) socket.Poll(Patience, SelectMode.SelectWrite);
                else if (error != SocketError.Success) throw new SocketException((int)error);
                else bytes = bytes[sent..];
            }
        }

        public override void Complete() => connection.Socket.Shutdown(SocketShutdown.Send);

        public override void Dispose() => connection.Dispose();
    }

    /// <param name="awake">Whether a read is to look and return; else it sleeps in the
    /// kernel until there is something.</param>
    private sealed class SocketInlet(Connection connection, bool awake) : FramedInlet
    {
        private Socket? _socket;

        protected override int Read(Span<byte> destination)
        {
            if (_socket is null)
            {
                _socket = connection.Socket;
                if (awake) _socket.Blocking = false;
                else _socket.ReceiveTimeout = (int)Patience.TotalMilliseconds;
            }

            int read = _socket.Receive(destination, SocketFlags.None, out SocketError error);
            return error switch
            {
                SocketError.Success => read,
                SocketError.WouldBlock when awake => -1,
                SocketError.WouldBlock or SocketError.TimedOut =>
                    throw new TimeoutException($"no message came in {Patience.TotalSeconds:0.#} s"),
                _ => throw new SocketException((int)error),
            };
        }

        protected override void Sleep(TimeSpan most) => connection.Socket.Poll(most, SelectMode.SelectRead);

        public override void Dispose() => connection.Dispose();
    }
}

/// <summary>A Unix-domain socket without a library.</summary>
internal sealed class BareSocketSubject : SocketSubject
{
    public override string Name => "bare-uds";

    public override string Title => "bare Socket, UDS";

    protected override Socket Create() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    protected override void Listen(Socket listener, string address, string channel) => listener.Bind(Find(address, channel));

    protected override EndPoint Find(string address, string channel) =>
        new UnixDomainSocketEndPoint(Path.Combine(address, channel + ".sock"));
}

/// <summary>TCP over the loopback interface.</summary>
internal sealed class TcpSubject : SocketSubject
{
    public override string Name => "tcp";

    public override string Title => "TCP loopback";

    protected override Socket Create() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    // The port is the system's choice; the other side reads it from a file.
    protected override void Listen(Socket listener, string address, string channel)
    {
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        string path = Path.Combine(address, channel + ".port");
        File.WriteAllText(path + ".new",
            ((IPEndPoint)listener.LocalEndPoint!).Port.ToString(System.Globalization.CultureInfo.InvariantCulture));
        File.Move(path + ".new", path);
    }

    protected override EndPoint Find(string address, string channel) =>
        new IPEndPoint(IPAddress.Loopback,
            int.Parse(File.ReadAllText(Path.Combine(address, channel + ".port")), System.Globalization.CultureInfo.InvariantCulture));
}
