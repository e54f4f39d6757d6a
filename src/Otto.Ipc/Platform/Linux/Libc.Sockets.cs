using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// Sockets and epoll without the runtime's own event loop in between: one thread that asks the kernel itself serves thousands of connections
// from a handful of buffers.

internal static unsafe partial class Libc
{
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_NONBLOCK = O_NONBLOCK, SOCK_CLOEXEC = O_CLOEXEC;
    public const int SOL_SOCKET = 1, SO_SNDBUF = 7, SO_PEERCRED = 17, MSG_NOSIGNAL = 0x4000, SHUT_WR = 1, SHUT_RDWR = 2;
    public const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3, EPOLL_CLOEXEC = O_CLOEXEC;
    public const uint EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 0x10;
    public const int EMFILE = 24, ENFILE = 23, EPIPE = 32, EADDRINUSE = 98, ECONNABORTED = 103, ECONNRESET = 104, ECONNREFUSED = 111,
        EINPROGRESS = 115;

    /// <summary>The longest path of a socket in bytes: what sockaddr_un holds besides its closing zero.</summary>
    public const int LongestSocketPath = 107;

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int Bind(int fd, byte* address, int length);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int Connect(int fd, byte* address, int length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    public static partial int Listen(int fd, int backlog);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    public static partial int Accept(int fd, nint address, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(int fd, int how);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static partial int GetSocketOption(int fd, int level, int name, void* value, int* length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetSocketOption(int fd, int level, int name, void* value, int length);

    [LibraryImport("libc", EntryPoint = "getsockname", SetLastError = true)]
    private static partial int GetSocketName(int fd, byte* address, int* length);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FcntlFlags(int fd, int command, nint value);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    public static partial int ChangeMode(int fd, uint mode);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventDescriptor(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fd, byte* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int fd, byte* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int fd, void* entry);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, void* entries, int most, int milliseconds);

    /// <summary>Gives a socket its name in the file system.</summary>
    /// <returns>0, or -1 with the last error set.</returns>
    public static int Bind(int fd, string path)
    {
        byte* address = stackalloc byte[LongestSocketPath + 3];
        return Bind(fd, address, WriteAddress(path, address));
    }

    /// <summary>Connects a socket to the process that listens at a path.</summary>
    /// <returns>0, or -1 with the last error set.</returns>
    public static int Connect(int fd, string path)
    {
        byte* address = stackalloc byte[LongestSocketPath + 3];
        return Connect(fd, address, WriteAddress(path, address));
    }

    /// <summary>
    /// Who is at the other end of a connected Unix-domain socket, as the kernel noted it when they connected or
    /// listened.
    /// </summary>
    public static PeerCredentials PeerOf(int fd)
    {
        PeerCredentials peer;
        int length = sizeof(PeerCredentials);
        return GetSocketOption(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer
            : throw Failure("getsockopt SO_PEERCRED", $"descriptor {fd}");
    }

    /// <summary>The path of a socket of this family, type and state: a Unix stream socket that listens.</summary>
    /// <returns><see langword="null"/> if the descriptor is not one; an abstract name begins with @.</returns>
    public static string? ListeningPath(int fd)
    {
        const int SO_TYPE = 3, SO_ACCEPTCONN = 30, SO_DOMAIN = 39;
        if (Option(SO_DOMAIN) != AF_UNIX || Option(SO_TYPE) != SOCK_STREAM || Option(SO_ACCEPTCONN) != 1) return null;
        byte* address = stackalloc byte[LongestSocketPath + 3];
        int length = LongestSocketPath + 3;
        if (GetSocketName(fd, address, &length) != 0) return null;
        ReadOnlySpan<byte> path = new ReadOnlySpan<byte>(address, length)[2..];
        return path.Length == 0 ? "" : path[0] == 0 ? "@" + System.Text.Encoding.UTF8.GetString(path[1..])
            : System.Text.Encoding.UTF8.GetString(path).TrimEnd('\0');

        int Option(int name)
        {
            int value = -1, bytes = sizeof(int);
            return GetSocketOption(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
        }
    }

    /// <summary>Makes a descriptor of another program's one of ours: it does not block, and no child gets it.</summary>
    /// <returns>0, or -1 with the last error set.</returns>
    public static int MakeOurs(int fd)
    {
        const int F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, FD_CLOEXEC = 1;
        int flags = FcntlFlags(fd, F_GETFL, 0);
        return flags < 0 || FcntlFlags(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1 : FcntlFlags(fd, F_SETFD, FD_CLOEXEC);
    }

    /// <summary>Asks for a larger send buffer; the kernel gives what it allows.</summary>
    public static void AskForSendBuffer(int fd, int bytes) => _ = SetSocketOption(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(int));

    private static int WriteAddress(string path, byte* address)
    {
        *(ushort*)address = AF_UNIX;
        int bytes = System.Text.Encoding.UTF8.GetBytes(path, new Span<byte>(address + 2, LongestSocketPath));
        address[2 + bytes] = 0;
        return 2 + bytes + 1;
    }
}

/// <summary>struct ucred.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PeerCredentials
{
    public int Pid;
    public uint Uid;
    public uint Gid;
}
