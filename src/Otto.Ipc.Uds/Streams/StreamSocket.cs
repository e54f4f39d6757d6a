using System.Runtime.InteropServices;
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
    /// <param name="failure">What is wrong, where it is more than that nobody listens now.</param>
    /// <returns>The descriptor, non-blocking; -1 where there is none.</returns>
    public static int TryConnect(string path, bool allowOther, out IOException? failure)
    {
        failure = null;
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0)
        {
            failure = Libc.Failure("socket", path);
            return -1;
        }

        if (Libc.Connect(fd, path) == 0)
        {
            if (IsTrusted(fd, allowOther)) return fd;
            failure = new IOException($"the receiver at {path} is another user's; where that is meant, {UdsTransportOptions.TrustVariable}=1 or AllowOtherOwner allows it");
        }
        else
        {
            int error = Marshal.GetLastPInvokeError();
            if (error is not (Libc.ENOENT or Libc.ECONNREFUSED or Libc.EAGAIN or Libc.EINTR or Libc.EACCES)) failure = Libc.Failure("connect", path, error);
        }

        _ = Libc.Close(fd);
        return -1;
    }

    /// <summary>Closes a connection, and has the other end see so now: closing alone leaves it open with a child that was forked meanwhile and has not yet called exec.</summary>
    public static void Close(int descriptor)
    {
        _ = Libc.Shutdown(descriptor, Libc.SHUT_RDWR);
        _ = Libc.Close(descriptor);
    }

    /// <summary>Whether the other end is this user's or root's, or may be anybody's.</summary>
    public static bool IsTrusted(int fd, bool allowOther)
    {
        try
        {
            uint uid = Libc.PeerOf(fd).Uid;
            return allowOther || uid == 0 || uid == Libc.GetEuid();
        }
        catch (IOException)
        {
            // The kernel does not say; then nobody does.
            return false;
        }
    }
}
