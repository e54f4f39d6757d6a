using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Benchmarks.Stores;

// The servers that are measured, each a process of its own behind a Unix socket, and how each wants to be spoken to.

/// <summary>One running server.</summary>
internal abstract class StoreServer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The name in the results.</summary>
    public abstract string Name { get; }

    public abstract string Path { get; }

    public abstract byte[] Get(string key);

    public abstract byte[] Set(string key, string value);

    public abstract byte[] Value(string value);

    public abstract byte[] Ok { get; }

    public abstract void Dispose();

    /// <summary>A batch of one kind of request, all over the keys.</summary>
    public Conversation Batch(bool sets, string value, int depth, Func<int, string> key) => new(
        Join(depth, i => sets ? Set(key(i), value) : Get(key(i))),
        Join(depth, _ => sets ? Ok : Value(value)));

    /// <summary>Waits until somebody listens.</summary>
    protected void AwaitListening(Func<bool> isRunning)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                probe.Connect(new UnixDomainSocketEndPoint(Path));
                return;
            }
            catch (SocketException) when (isRunning() && Stopwatch.GetElapsedTime(start) < Patience)
            {
                Thread.Sleep(5);
            }
        }
    }

    private static byte[] Join(int count, Func<int, byte[]> part) => [.. Enumerable.Range(0, count).SelectMany(part)];
}

/// <summary>The server of this repository, in a process of its own.</summary>
internal sealed class OttoServer : StoreServer
{
    private readonly BenchmarkProcess _peer;

    public OttoServer(string directory)
    {
        Path = System.IO.Path.Combine(directory, "otto.sock");
        _peer = new BenchmarkProcess("store-serve", Path, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        AwaitListening(() => _peer.IsRunning);
    }

    public override string Name => "uds";

    public override string Path { get; }

    public override byte[] Ok { get; } = "OK\n"u8.ToArray();

    public override byte[] Get(string key) => Encoding.UTF8.GetBytes($"GET {key}\n");

    public override byte[] Set(string key, string value) => Encoding.UTF8.GetBytes($"SET {key} {value}\n");

    public override byte[] Value(string value) => Encoding.UTF8.GetBytes($"{value}\n");

    /// <summary>The other process: serves until its parent closes its standard input.</summary>
    public static void Serve(string path)
    {
        using UdsServer server = UdsServer.Start(new UdsServerOptions { SocketPath = path });
        while (Console.In.Read() >= 0)
        {
        }
    }

    public override void Dispose()
    {
        _peer.CloseInput();
        _peer.Dispose();
    }
}

/// <summary>redis-server, without persistence and without a port.</summary>
internal sealed class RedisServer : StoreServer
{
    private readonly Process _process;

    private RedisServer(string directory)
    {
        Path = System.IO.Path.Combine(directory, "redis.sock");
        var start = new ProcessStartInfo("redis-server",
            ["--port", "0", "--unixsocket", Path, "--save", "", "--appendonly", "no", "--dir", directory])
            { RedirectStandardOutput = true };
        _process = Interruption.Start(start);
        _process.OutputDataReceived += static (_, _) => { };
        _process.BeginOutputReadLine();
        AwaitListening(() => !_process.HasExited);
    }

    public override string Name => "redis";

    public override string Path { get; }

    public override byte[] Ok { get; } = "+OK\r\n"u8.ToArray();

    /// <summary>Starts one, where it is installed.</summary>
    public static RedisServer? TryStart(string directory)
    {
        bool installed = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(
            folder => File.Exists(System.IO.Path.Combine(folder, "redis-server")));
        return installed ? new RedisServer(directory) : null;
    }

    public override byte[] Get(string key) => Encoding.UTF8.GetBytes($"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n");

    public override byte[] Set(string key, string value) =>
        Encoding.UTF8.GetBytes($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${value.Length}\r\n{value}\r\n");

    public override byte[] Value(string value) => Encoding.UTF8.GetBytes($"${value.Length}\r\n{value}\r\n");

    public override void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        Interruption.Ended(_process);
    }
}
