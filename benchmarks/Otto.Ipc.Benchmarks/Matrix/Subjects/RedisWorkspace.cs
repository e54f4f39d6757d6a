using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>A real redis-server on 127.0.0.1, a free port and a random password, that ends
/// with this process whatever becomes of it.</summary>
internal sealed class RedisWorkspace : Workspace
{
    // The shell keeps the server as its child and kills it when our end of its input closes, even if that is because we were killed.
    private const string Guard = "\"$@\" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $! 2>/dev/null";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo _directory = Interruption.NewDirectory(Path.GetTempPath());
    private readonly string _password = Guid.NewGuid().ToString("n");
    private readonly int _port = FreePort();
    private readonly bool _keep;
    private Process? _guard;
    private int _pid;

    /// <param name="keep">Whether it writes what it is told to disk.</param>
    public RedisWorkspace(bool keep)
    {
        _keep = keep;
        string config = Path.Combine(_directory.FullName, "redis.conf");
        File.WriteAllText(config, string.Create(CultureInfo.InvariantCulture, $"""
            bind 127.0.0.1
            port {_port}
            unixsocket {UnixSocket}
            unixsocketperm 700
            requirepass {_password}
            dir {_directory.FullName}
            save ""
            appendonly {(keep ? "yes" : "no")}
            """));
        if (OperatingSystem.IsLinux()) File.SetUnixFileMode(config, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Start();
    }

    public static bool IsInstalled => InstalledPrograms.Has("redis-server");

    /// <summary>What StackExchange.Redis takes.</summary>
    public override string Address => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port},password={_password}");

    /// <summary>What redis-cli takes.</summary>
    public string UnixSocket => Path.Combine(_directory.FullName, "redis.sock");

    public override int? ServerId => _pid;

    public override string? FileSystem => _keep ? new DriveInfo(_directory.FullName).DriveFormat : null;

    /// <summary>How redis-cli is called, given the address.</summary>
    public static string CliOf(string address) => $"REDISCLI_AUTH={PasswordOf(address)} redis-cli -p {PortOf(address)}";

    public static string PasswordOf(string address) => address.Split("password=")[1];

    public static string PortOf(string address) => address.Split(',')[0].Split(':')[1];

    public override string KillServer()
    {
        Stop();
        Start();
        return _keep ? "redis-server killed and started again (appendonly yes)" : "redis-server killed and started again (appendonly no)";
    }

    public override void Dispose()
    {
        Stop();
        Interruption.Remove(_directory);
    }

    private void Start()
    {
        _guard = Interruption.Start(
            new ProcessStartInfo("bash",
                ["-c", Guard, "guard", "redis-server", Path.Combine(_directory.FullName, "redis.conf")]) { RedirectStandardInput = true,
                    RedirectStandardOutput = true });
        _pid = int.Parse(_guard.StandardOutput.ReadLine()!, CultureInfo.InvariantCulture);
        for (long began = Stopwatch.GetTimestamp(); Ask("PING") != "+PONG"; Thread.Sleep(2))
        {
            if (!IsAlive || Stopwatch.GetElapsedTime(began) > Patience)
                throw new IOException($"redis-server did not start on port {_port}");
        }
    }

    private void Stop()
    {
        if (_guard is null) return;
        using Process kill = Process.Start("kill", ["-9", _pid.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        SpinWait.SpinUntil(() => !IsAlive, Patience);
        _guard.StandardInput.Close();
        _guard.WaitForExit();
        Interruption.Ended(_guard);
        _guard = null;
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
                return false; // Its parent has taken its leave of it, perhaps while we were reading.
            }
        }
    }

    /// <summary>Asks by hand, past any client.</summary>
    private string Ask(string command)
    {
        try
        {
            using var tcp = new TcpClient();
            tcp.Connect(IPAddress.Loopback, _port);
            using NetworkStream stream = tcp.GetStream();
            using var reader = new StreamReader(stream, Encoding.UTF8);
            stream.Write(Encoding.UTF8.GetBytes($"AUTH {_password}\r\n{command}\r\n"));
            reader.ReadLine();
            return reader.ReadLine() ?? "";
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return "";
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
