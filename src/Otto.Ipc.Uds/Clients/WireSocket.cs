using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Otto.Ipc.Native;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// From a path to a connected socket whose other end is a server that may be trusted, and from an error on the wire to an exception.

internal static class WireSocket
{
    private const int SolSocket = Libc.SOL_SOCKET, SoPeerCred = Libc.SO_PEERCRED;

    /// <summary>How long to wait before another attempt.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan BusyPatience = TimeSpan.FromSeconds(30);

    /// <summary>Connects, and goes on trying while nobody listens.</summary>
    public static async Task<Socket> ConnectAsync(string path, TimeSpan patience, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
                CheckServer(socket, path);
                return socket;
            }
            catch (SocketException e)
            {
                socket.Dispose();
                if (e.SocketErrorCode == SocketError.AccessDenied) throw new UnauthorizedAccessException($"the socket {path} is another user's: {e.Message}", e);
                // Somebody listens, and has more connections waiting than it took yet: that is busy, not missing.
                bool busy = e.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain;
                if (Stopwatch.GetElapsedTime(start) >= (busy && patience < BusyPatience ? BusyPatience : patience)) throw busy ? Busy(path) : NotFound(path, e);
            }
            catch
            {
                socket.Dispose();
                throw;
            }

            await Task.Delay(Pause, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>What an error's words stand for.</summary>
    public static Exception Error(ReadOnlySpan<byte> payload)
    {
        string words = Encoding.UTF8.GetString(payload);
        int space = words.IndexOf(' ', StringComparison.Ordinal);
        (string code, string message) = space < 0 ? (words, words) : (words[..space], words[(space + 1)..]);
        return code switch
        {
            ErrorCode.BadCommand or ErrorCode.BadKey or ErrorCode.BadJson => new ArgumentException(message),
            ErrorCode.Denied => new UnauthorizedAccessException(message),
            _ => new ServerRefusedException(code, message),
        };
    }

    /// <summary>Whoever made the socket is handed what is set, and could answer anything: it must be this user's or root's, for root too.</summary>
    private static void CheckServer(Socket socket, string path)
    {
        uint me = Libc.GetEuid();
        Span<byte> raw = stackalloc byte[12];
        if (socket.GetRawSocketOption(SolSocket, SoPeerCred, raw) != raw.Length) throw new IOException($"the kernel does not say who listens at {path}");
        uint uid = MemoryMarshal.Read<PeerCredentials>(raw).Uid;
        if (uid != me && uid != 0) throw new UnauthorizedAccessException($"the server at {path} belongs to uid {uid}, not to {me}");
    }

    private static ServerNotFoundException NotFound(string path, SocketException e) =>
        new($"no server at {path}: {(Libc.Status(path) is null ? "there is no such socket" : e.Message)}; start one with 'otto serve'", e);

    private static ServerRefusedException Busy(string path) =>
        new(ErrorCode.Busy, $"the server at {path} takes no connections: as many wait as may, for {BusyPatience.TotalSeconds} s; is it stopped?");
}
