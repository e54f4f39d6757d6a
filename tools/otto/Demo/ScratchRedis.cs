using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Otto.Tools.Demo;

// A redis-server of a run's own: on 127.0.0.1, a free port, with a random password and nothing on disk but that.

internal sealed class ScratchRedis : IDisposable
{
    // The shell keeps the server as its child and ends it, and removes its directory, when its input
    // closes, so that nothing outlives us even if we are killed. Ctrl-C is ours to deal with.
    private const string Guard =
        "trap '' INT TERM; scratch=$1; shift; \"$@\" >/dev/null 2>&1 & read -r _; kill -9 $! 2>/dev/null; wait; rm -rf -- \"$scratch\"";
    private const int Tries = 5;
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(10);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("otto-redis-");
    private readonly string _password = Guid.NewGuid().ToString("n");
    private readonly int _port = FreePort();
    private readonly Process _guard;

    private ScratchRedis()
    {
        string config = Path.Combine(_directory.FullName, "redis.conf");
        // The directory is the user's alone, so its password is.
        File.WriteAllText(config,
            string.Create(CultureInfo.InvariantCulture,
                $"bind 127.0.0.1\nport {_port}\nrequirepass {_password}\ndir {_directory.FullName}\nsave \"\"\nappendonly no\n"));
        _guard = Process.Start(
            new ProcessStartInfo("sh", ["-c", Guard, "sh", _directory.FullName, "redis-server", config]) { RedirectStandardInput = true })!;
    }

    /// <summary>In StackExchange.Redis's words.</summary>
    public string Configuration => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port},password={_password}");

    public static bool IsInstalled =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(
            static folder => File.Exists(Path.Combine(folder, "redis-server")));

    /// <summary>Starts a server.</summary>
    /// <exception cref="IOException">It did not come up.</exception>
    public static async Task<ScratchRedis> StartAsync(CancellationToken cancellationToken)
    {
        for (int left = Tries; ; left--)
        {
            ScratchRedis server = new();
            try
            {
                if (await server.AnswersAsync(cancellationToken)) return server;
                if (left == 0) throw new IOException(
                    $"redis-server did not answer on port {server._port} within {StartTimeout.TotalSeconds:0} s");
            }
            catch
            {
                server.Dispose();
                throw;
            }

            server.Dispose(); // Somebody else may have taken the port between our look and its start.
        }
    }

    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < StartTimeout / Tries;)
        {
            try
            {
                using TcpClient client = new();
                await client.ConnectAsync(IPAddress.Loopback, _port, cancellationToken);
                NetworkStream stream = client.GetStream();
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"AUTH {_password}\r\n"), cancellationToken);
                byte[] answer = new byte[5];
                await stream.ReadExactlyAsync(answer, cancellationToken);
                return answer.AsSpan().SequenceEqual("+OK\r\n"u8);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                await Task.Delay(5, cancellationToken);
            }
        }

        return false;
    }

    // Below the ports that the system gives out: a client that looks for a dead server on one of those may
    // be given that very port, and meet itself there.
    private static int FreePort()
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
        _guard.StandardInput.Close();
        _guard.WaitForExit(StartTimeout);
        _guard.Dispose();
        _directory.Refresh();
        if (_directory.Exists) _directory.Delete(recursive: true);
    }
}
