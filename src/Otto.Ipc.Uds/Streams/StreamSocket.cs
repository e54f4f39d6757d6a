using System.Runtime.InteropServices;
using Otto.Ipc.Native;
using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds.Streams;

// Where a stream's socket lies, and who may be at its other end.

internal static class StreamSocket
{
    /// <summary>The path of a stream's socket: beside the server's.</summary>
    public static string PathOf(string serverPath, ChannelName name)
    {
        string path = Path.Combine(Path.GetDirectoryName(serverPath)!, name.Value + ".stream");
        SocketPlace.CheckLength(path);
        return path;
    }

    /// <summary>Connects to the receiver, if there is one.</summary>
    /// <returns>The descriptor, non-blocking; -1 where nobody listens now.</returns>
    public static int TryConnect(string path)
    {
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("socket", path);
        if (Libc.Connect(fd, path) == 0 && IsTrusted(fd)) return fd;
        int error = Marshal.GetLastPInvokeError();
        _ = Libc.Close(fd);
        return error is 0 or Libc.ENOENT or Libc.ECONNREFUSED or Libc.EAGAIN or Libc.EINTR or Libc.EACCES ? -1 : throw Libc.Failure("connect", path, error);
    }

    /// <summary>Whether the other end is this user's or root's, or this is root.</summary>
    public static bool IsTrusted(int fd)
    {
        uint uid = Libc.PeerOf(fd).Uid, me = Libc.GetEuid();
        Marshal.SetLastPInvokeError(0);
        return uid == me || uid == 0 || me == 0;
    }
}
