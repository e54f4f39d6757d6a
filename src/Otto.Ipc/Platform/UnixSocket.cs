using System.Runtime.InteropServices;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// Unix-domain sockets without the runtime's own event loop in between, so that one thread serves thousands of connections from a few
// buffers. What the kernel refuses for now, for good, or because nobody is there is a result; the rest leaves as an IOException.

/// <summary>What came of sending or receiving.</summary>
internal enum SocketResult
{
    /// <summary>Some bytes were taken or came.</summary>
    Done,

    /// <summary>Nothing can be sent or received now.</summary>
    WouldBlock,

    /// <summary>Nothing more comes from the other end, or it has gone.</summary>
    Ended,
}

/// <summary>What came of accepting.</summary>
internal enum AcceptResult
{
    Accepted,

    /// <summary>No client waits.</summary>
    None,

    /// <summary>This process may open no more files.</summary>
    OutOfFiles,
}

/// <summary>A non-blocking Unix-domain socket. A copy is the same socket. Its owner closes it once.</summary>
internal readonly unsafe record struct UnixSocket
{
    private const int Backlog = 4096, DrainBytes = 4096, DrainsAtMost = 256;
    private readonly int _number;

    private UnixSocket(int fd) => _number = fd + 1;

    /// <summary>Whether there is one; the default value is none.</summary>
    public bool IsOpen => _number > 0;

    /// <summary>A small number that no other open socket of this process has, for tables
    /// and for <see cref="ReadinessPoller"/>.</summary>
    public int Id => _number - 1;

    /// <summary>The longest path of a socket in bytes.</summary>
    public static int LongestPath => Libc.LongestSocketPath;

    /// <summary>The effective user at the other end, as the kernel noted it when they connected or listened.</summary>
    /// <exception cref="IOException">The kernel does not report the user.</exception>
    public uint PeerUser => Libc.PeerOf(Id).Uid;

    /// <summary>Whether the other end has gone, though what it sent may not have been received yet.</summary>
    public bool HasHungUp
    {
        get
        {
            var entry = new Libc.PollEntry { Descriptor = Id };
            return Libc.Poll(ref entry, 1, 0) > 0 && (entry.Returned & (short)Libc.EPOLLHUP) != 0;
        }
    }

    /// <summary>Whether the kernel takes something now.</summary>
    public bool IsWritable
    {
        get
        {
            var entry = new Libc.PollEntry { Descriptor = Id, Events = (short)Libc.EPOLLOUT };
            return Libc.Poll(ref entry, 1, 0) > 0;
        }
    }

    /// <summary>The effective user at the other end of a socket of the runtime's.</summary>
    /// <exception cref="IOException">The kernel does not report the user.</exception>
    public static bool TryGetPeerUser(System.Net.Sockets.Socket socket, out uint user)
    {
        Span<byte> raw = stackalloc byte[sizeof(PeerCredentials)];
        bool known = socket.GetRawSocketOption(Libc.SOL_SOCKET, Libc.SO_PEERCRED, raw) == raw.Length;
        user = known ? MemoryMarshal.Read<PeerCredentials>(raw).Uid : 0;
        return known;
    }

    /// <summary>Gets the process that listens at a path, as the kernel reports it.</summary>
    /// <returns>The pid; 0 if it cannot be read now; <see langword="null"/> if no process listens.</returns>
    /// <exception cref="IOException">It cannot be determined whether a process listens.</exception>
    public static int? ListenerOf(string path)
    {
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("socket", path);
        try
        {
            if (Libc.Connect(fd, path) == 0) return Libc.PeerOf(fd).Pid;
            int error = Marshal.GetLastPInvokeError();
            // A full backlog is a listener that is busy; anything but a refusal is no proof that nobody is there.
            if (error is Libc.ECONNREFUSED or Libc.ENOENT) return null;
            return error == Libc.EAGAIN ? 0 : throw Libc.Failure("connect", path, error);
        }
        finally
        {
            _ = Libc.Close(fd);
        }
    }

    /// <summary>Connects to the process that listens at a path.</summary>
    /// <param name="path">Where.</param>
    /// <param name="socket">The socket; none if there is no listener, or not one that this process may reach.</param>
    /// <param name="failure">The failure, unless the only reason is that no process can be reached there now.</param>
    public static bool TryConnect(string path, out UnixSocket socket, out IOException? failure)
    {
        socket = default;
        failure = null;
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0)
        {
            failure = Libc.Failure("socket", path);
            return false;
        }

        if (Libc.Connect(fd, path) == 0)
        {
            socket = new UnixSocket(fd);
            return true;
        }

        int error = Marshal.GetLastPInvokeError();
        if (error is not (Libc.ENOENT or Libc.ECONNREFUSED or Libc.EAGAIN or Libc.EINTR or Libc.EACCES))
            failure = Libc.Failure("connect", path, error);
        _ = Libc.Close(fd);
        return false;
    }

    /// <summary>Listens at a path that is free, for this user alone.</summary>
    /// <exception cref="IOException">The socket cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The file system gives others access to it.</exception>
    public static UnixSocket Listen(string path)
    {
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("socket", path);
        try
        {
            // The kernel gives the name the mode of the socket, less the umask: set before bind, it is never wider, not even for a moment.
            if (Libc.ChangeMode(fd, 0x180) != 0) throw Libc.Failure("fchmod", path);
            if (Libc.Bind(fd, path) != 0) throw Libc.Failure("bind", path);
            FileStatus status = Libc.Status(path) ?? throw new IOException($"the socket {path} was removed while it was being created");
            if ((status.Permissions & 0x3F) != 0)
            {
                string mode = Convert.ToString(status.Permissions, 8);
                throw new UnauthorizedAccessException($"the socket {path} has mode {mode} on this file system; others could connect");
            }

            if (Libc.Listen(fd, Backlog) != 0) throw Libc.Failure("listen", path);
            return new UnixSocket(fd);
        }
        catch
        {
            _ = Libc.Close(fd);
            throw;
        }
    }

    /// <summary>Takes over a socket that another program listens with, such as systemd's.</summary>
    /// <param name="descriptor">Its descriptor.</param>
    /// <param name="path">Its path; an abstract name begins with @.</param>
    /// <exception cref="ArgumentException">It is not a Unix stream socket that listens.</exception>
    public static UnixSocket Adopt(int descriptor, out string path)
    {
        path = Libc.ListeningPath(descriptor) ?? throw new ArgumentException(
            $"descriptor {descriptor} is not a Unix stream socket that listens; in a systemd unit, ListenStream= names its path");
        if (Libc.MakeOurs(descriptor) != 0) throw Libc.Failure("fcntl", $"descriptor {descriptor}");
        return new UnixSocket(descriptor);
    }

    /// <summary>Accepts the next client that waits.</summary>
    public AcceptResult Accept(out UnixSocket client)
    {
        client = default;
        while (true)
        {
            int fd = Libc.Accept(Id, 0, 0, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
            if (fd >= 0)
            {
                client = new UnixSocket(fd);
                return AcceptResult.Accepted;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error is Libc.EINTR or Libc.ECONNABORTED) continue;
            return error is Libc.EMFILE or Libc.ENFILE ? AcceptResult.OutOfFiles : AcceptResult.None;
        }
    }

    /// <summary>Gives the kernel what it takes.</summary>
    public SocketResult Send(ReadOnlySpan<byte> bytes, out int sent)
    {
        sent = 0;
        while (true)
        {
            nint taken;
            fixed (byte* first = bytes) taken = Libc.Send(Id, first, bytes.Length, Libc.MSG_NOSIGNAL);
            if (taken >= 0)
            {
                sent = (int)taken;
                return SocketResult.Done;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error == Libc.EAGAIN) return SocketResult.WouldBlock;
            if (error != Libc.EINTR) return SocketResult.Ended;
        }
    }

    /// <summary>Receives what there is.</summary>
    public SocketResult Receive(Span<byte> buffer, out int received)
    {
        received = 0;
        while (true)
        {
            nint came;
            fixed (byte* first = buffer) came = Libc.Receive(Id, first, buffer.Length, 0);
            if (came > 0)
            {
                received = (int)came;
                return SocketResult.Done;
            }

            if (came == 0) return SocketResult.Ended;
            int error = Marshal.GetLastPInvokeError();
            if (error == Libc.EAGAIN) return SocketResult.WouldBlock;
            if (error != Libc.EINTR) return SocketResult.Ended;
        }
    }

    /// <summary>Asks for a larger send buffer; the kernel gives what it allows.</summary>
    public void AskForSendBuffer(int bytes) => Libc.AskForSendBuffer(Id, bytes);

    /// <summary>Closes it.</summary>
    public void Close() => _ = Libc.Close(Id);

    /// <summary>Closes it, and has the other end see so now: closing alone leaves it open
    /// with a child that was forked and has not yet called exec.</summary>
    public void CloseBothWays()
    {
        _ = Libc.Shutdown(Id, Libc.SHUT_RDWR);
        _ = Libc.Close(Id);
    }

    /// <summary>Has the other end see that nothing more comes.</summary>
    public void EndSending() => _ = Libc.Shutdown(Id, Libc.SHUT_WR);

    /// <summary>Reads and drops what there is, in a bounded time.</summary>
    public SocketResult DropInput()
    {
        byte* unread = stackalloc byte[DrainBytes];
        for (int i = 0; i < DrainsAtMost; i++)
        {
            nint came = Libc.Receive(Id, unread, DrainBytes, 0);
            if (came > 0) continue;
            return came == 0 || Marshal.GetLastPInvokeError() is not (Libc.EAGAIN or Libc.EINTR) ? SocketResult.Ended
                : SocketResult.WouldBlock;
        }

        return SocketResult.Done;
    }

    /// <summary>
    /// Closes the socket so that the client can read all that was sent. Reads and drops what the client sent, because
    /// unread bytes would turn the end of the stream into an error.
    /// </summary>
    public void CloseAfterDraining()
    {
        EndSending();
        _ = DropInput();
        _ = Libc.Close(Id);
    }
}

/// <summary>Open files that are given up when no other can be opened.</summary>
internal sealed class SpareFiles : IDisposable
{
    private readonly Stack<int> _numbers = new();
    private readonly int _count;
    private int _away;

    /// <summary>Opens them; as many as can be opened.</summary>
    public SpareFiles(int count)
    {
        _count = count;
        Fill();
    }

    /// <summary>Gives one up until <see cref="Restore"/>.</summary>
    /// <returns><see langword="false"/> if all are given up, and no more could be opened now.</returns>
    public bool TryRelease()
    {
        Fill();
        if (!_numbers.TryPop(out int number)) return false;
        _ = Libc.Close(number);
        _away++;
        return true;
    }

    /// <summary>Opens one that was given up again, if that is possible.</summary>
    public void Restore()
    {
        _away--;
        Fill();
    }

    public void Dispose()
    {
        while (_numbers.TryPop(out int number)) _ = Libc.Close(number);
    }

    private void Fill()
    {
        while (_numbers.Count + _away < _count && Libc.EventDescriptor(0, Libc.O_CLOEXEC) is >= 0 and var number) _numbers.Push(number);
    }
}
