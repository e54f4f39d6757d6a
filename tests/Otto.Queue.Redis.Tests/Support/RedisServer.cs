using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests.Support;

// A real redis-server on 127.0.0.1, a free port and a random password, that dies with the tests whatever becomes of them.

internal sealed class RedisServer : IDisposable
{
    // The shell keeps the server as its child and kills it when our end of its input closes, even if that is because we were killed.
    private const string Guard = "\"$@\" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $! 2>/dev/null";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("otto-redis-test-");
    private readonly string _password;
    private string[] _arguments = [];
    private Process? _guard;
    private int _pid;

    private RedisServer(int port, string more, string? password = null)
    {
        Port = port;
        _password = password ?? Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        string config = Path.Combine(_directory.FullName, "redis.conf");
        File.WriteAllText(config, $"""
            bind 127.0.0.1
            port {port}
            requirepass {_password}
            dir {_directory.FullName}
            save ""
            {more}
            """);
        File.SetUnixFileMode(config, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    // What is written before it is answered outlives the process, which is all that kill -9 takes. With everysec a write may wait for
    // an fsync that is under way, and its answer does not.
    private const string Persistent = "appendonly yes\nappendfsync no\n";

    internal int Port { get; }

    internal string Password => _password;

    internal string Configuration => $"127.0.0.1:{Port},password={_password}";

    /// <summary>Starts a server, or ends the test as skipped where none is installed.</summary>
    /// <param name="persistent">Whether what it answered survives its death.</param>
    /// <param name="more">Further lines of its configuration.</param>
    /// <param name="password">Its password; one of its own by default.</param>
    /// <param name="arguments">Further arguments of its command line.</param>
    internal static async Task<RedisServer> StartAsync(
        bool persistent = false, string more = "", string? password = null, string[]? arguments = null)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(static d => File.Exists(Path.Combine(d, "redis-server"))))
            Assert.Ignore("redis-server is not installed: apt-get install redis-server");
        for (int attempt = 1; ; attempt++)
        {
            RedisServer server = new(FreePort(), (persistent ? Persistent : "appendonly no\n") + more, password)
                { _arguments = arguments ?? [] };
            try
            {
                await server.StartAgainAsync();
                return server;
            }
            catch (IOException) when (attempt < 5)
            {
                server.Dispose(); // Somebody else took the port between our look and its start.
            }
        }
    }

    /// <summary>Starts a replica of a server, with the same password.</summary>
    internal static Task<RedisServer> StartReplicaAsync(RedisServer master, string more = "") => StartAsync(persistent: true,
        $"replicaof 127.0.0.1 {master.Port}\nmasterauth {master._password}\n{more}", master._password);

    /// <summary>Starts a sentinel that watches a master under the name <c>main</c>.</summary>
    internal static Task<RedisServer> StartSentinelAsync(RedisServer master) => StartAsync(more: $"""
        sentinel monitor main 127.0.0.1 {master.Port} 2
        sentinel auth-pass main {master._password}
        sentinel down-after-milliseconds main 1000
        sentinel failover-timeout main 3000
        """, password: master._password, arguments: ["--sentinel"]);

    /// <summary>Adds a line to its configuration, for its next start.</summary>
    internal void Configure(string line) => File.AppendAllText(Path.Combine(_directory.FullName, "redis.conf"), $"\n{line}\n");

    /// <summary>Starts it again on the same port, with whatever data it kept.</summary>
    internal async Task StartAgainAsync()
    {
        ProcessStartInfo start = new("bash") { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (string argument in (string[])["-c", Guard, "guard", "redis-server", Path.Combine(_directory.FullName, "redis.conf"),
            .. _arguments])
            start.ArgumentList.Add(argument);
        _guard = Process.Start(start)!;
        _pid = int.Parse((await _guard.StandardOutput.ReadLineAsync().Soon())!, System.Globalization.CultureInfo.InvariantCulture);
        long began = Stopwatch.GetTimestamp();
        while (await AskAsync("PING") != "+PONG")
        {
            if (!IsAlive || Stopwatch.GetElapsedTime(began) > Eventually.Watchdog)
                throw new IOException($"redis-server did not start on port {Port}");
            await Task.Delay(10);
        }
    }

    /// <summary>SIGKILL: what it had not written to the system is gone.</summary>
    internal void Kill()
    {
        Signal(9);
        SpinWait.SpinUntil(() => !IsAlive, Eventually.Watchdog);
        _guard!.StandardInput.Close();
        _guard.WaitForExit();
        _guard.Dispose();
        _guard = null;
    }

    internal void Pause() => Signal(19);

    internal void Resume() => Signal(18);

    /// <summary>Forgets what it wrote to disk, so that it starts again with nothing.</summary>
    internal void LoseData()
    {
        foreach (DirectoryInfo data in _directory.GetDirectories()) data.Delete(recursive: true);
        foreach (FileInfo file in _directory.GetFiles("*.rdb")) file.Delete();
    }

    /// <summary>Asks by hand, past any client.</summary>
    /// <param name="command">The command, or several in lines.</param>
    /// <param name="answers">Which answer is wanted, each a line.</param>
    internal async Task<string> AskAsync(string command, int answers = 1)
    {
        try
        {
            using TcpClient tcp = new();
            await tcp.ConnectAsync(IPAddress.Loopback, Port);
            await using NetworkStream stream = tcp.GetStream();
            using StreamReader reader = new(stream, Encoding.UTF8);
            await stream.WriteAsync(Encoding.UTF8.GetBytes($"AUTH {_password}\r\n{command}\r\n"));
            for (int i = 0; i < answers; i++) await reader.ReadLineAsync();
            return await reader.ReadLineAsync() ?? "";
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return "";
        }
    }

    /// <summary>Asks by hand for an answer of several lines; as much of it as came before the server cut the
    /// connection, as a sentinel has it do.</summary>
    internal async Task<string> AskAllAsync(string command)
    {
        const string End = "that-was-all";
        StringBuilder answer = new();
        try
        {
            using TcpClient tcp = new();
            await tcp.ConnectAsync(IPAddress.Loopback, Port);
            await using NetworkStream stream = tcp.GetStream();
            using StreamReader reader = new(stream, Encoding.UTF8);
            await stream.WriteAsync(Encoding.UTF8.GetBytes($"AUTH {_password}\r\n{command}\r\nPING {End}\r\n"));
            while (await reader.ReadLineAsync().Soon() is { } line && line != End) answer.Append(line).Append("\r\n");
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // Who asks again gets the rest.
        }

        return answer.ToString();
    }

    private bool IsAlive
    {
        get
        {
            try
            {
                return !File.ReadAllText($"/proc/{_pid}/stat").Contains(") Z ", StringComparison.Ordinal);
            }
            catch (IOException)
            {
                return false; // Gone, maybe while we looked.
            }
        }
    }

    // By number: in a Turkish locale kill of procps does not know -CONT.
    private void Signal(int number)
    {
        using Process kill = Process.Start("kill", [$"-{number}", _pid.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    // Below the ports that the system gives out: a client that looks for a dead server on one of those may
    // be given that very port, and meet itself there.
    internal static int FreePort()
    {
        while (true)
        {
            int port = Random.Shared.Next(20_000, 32_000);
            try
            {
                using TcpListener listener = new(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next.
            }
        }
    }

    public void Dispose()
    {
        if (_guard is not null) Kill();
        _directory.Delete(recursive: true);
    }
}
