using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds.Streams;

// Where a stream's socket lies, and who may be at its other end.

internal static class StreamSocket
{
    /// <summary>The path of a stream's socket: beside the server's.</summary>
    public static string PathOf(string serverPath, ChannelName name)
    {
        string path = Path.Combine(Path.GetDirectoryName(serverPath)!, name.Value + ".stream");
        SocketPaths.CheckLength(path);
        return path;
    }

    /// <summary>Connects to the receiver, if there is one.</summary>
    /// <param name="path">Where it would be.</param>
    /// <param name="allowOther">Whether it may be another user's.</param>
    /// <param name="failure">The failure, unless the only reason is that no receiver listens now.</param>
    /// <returns>The socket; none if there is no receiver.</returns>
    public static UnixSocket TryConnect(string path, bool allowOther, out IOException? failure)
    {
        if (!UnixSocket.TryConnect(path, out UnixSocket socket, out failure) || IsTrusted(socket, allowOther)) return socket;
        socket.Close();
        failure = new IOException($"the receiver at {path} belongs to another user; if that is intended, "
            + $"{UdsTransportOptions.TrustVariable}=1 or AllowOtherOwner allows it");
        return default;
    }

    /// <summary>Whether the other end belongs to this user or root, or may belong to any user.</summary>
    public static bool IsTrusted(UnixSocket socket, bool allowOther)
    {
        try
        {
            uint user = socket.PeerUser;
            return allowOther || user == 0 || user == ProcessIdentity.UserId;
        }
        catch (IOException)
        {
            // The kernel does not tell who it is.
            return false;
        }
    }
}
