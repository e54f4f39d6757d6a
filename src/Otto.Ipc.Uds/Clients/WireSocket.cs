using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// From a path to a connected socket whose other end is a server that may be trusted, and from an error on the wire to an exception.

internal static class WireSocket
{
    private const int NotADirectory = 20;

    /// <summary>How long to wait before another attempt.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Connects, and retries while no server listens. If a server has not accepted all its callers yet, the call waits
    /// for it as for an answer.
    /// </summary>
    public static async Task<Socket> ConnectAsync(string path, UdsTransportOptions options, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
                CheckServer(socket, path, options.AllowOtherOwner);
                return socket;
            }
            catch (SocketException e)
            {
                socket.Dispose();
                if (Failure(path, e) is { } failure
                    && (failure is not ServerNotFoundException || Stopwatch.GetElapsedTime(start) >= options.ConnectTimeout)) throw failure;
            }
            catch
            {
                socket.Dispose();
                throw;
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
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

    /// <summary>
    /// Checks the owner of the socket. The owner receives every command and can send any answer, so it must be this
    /// user or root. For root, it must be root.
    /// </summary>
    private static void CheckServer(Socket socket, string path, bool allowOther)
    {
        if (!UnixSocket.TryGetPeerUser(socket, out uint owner))
            throw new IOException($"the kernel does not report which user listens at {path}");
        uint me = ProcessIdentity.UserId;
        if (owner != me && owner != 0 && !allowOther)
            throw new UnauthorizedAccessException($"the server at {path} belongs to uid {owner}, not to {me}; if that is intended, "
                + $"{UdsTransportOptions.TrustVariable}=1 or AllowOtherOwner allows it");
    }

    /// <summary>What a failed attempt means; <see langword="null"/> for a server that is there and busy.</summary>
    private static Exception? Failure(string path, SocketException e) => e.SocketErrorCode switch
    {
        SocketError.WouldBlock or SocketError.TryAgain => null,
        SocketError.AccessDenied => new UnauthorizedAccessException($"the socket {path} belongs to another user: {e.Message}", e),
        SocketError.AddressNotAvailable => NotFound(path, "there is no such socket", e),
        SocketError.ConnectionRefused => NotFound(path, "no server listens there", e),
        _ => e.NativeErrorCode == NotADirectory ? NotFound(path, "there is no such directory", e)
            : new IOException($"cannot connect to {path}: {e.Message}", e),
    };

    private static ServerNotFoundException NotFound(string path, string why, SocketException e) =>
        new($"no server at {path}: {why}; start one with 'otto serve'", e);
}
