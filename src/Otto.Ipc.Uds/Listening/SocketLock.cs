using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Listening;

// How a path becomes a listening socket of ours: the lock file says whether a server of ours lives, a connect probe whether anybody does.
// Only a socket that refuses connections is removed, and the new one has mode 0600 before it has a name.

/// <summary>A listening socket and the lock beside it, both gone with <see cref="Dispose"/>.</summary>
internal sealed class SocketLock : IDisposable
{
    private const int Backlog = 4096;
    private static readonly TimeSpan LivePatience = TimeSpan.FromMilliseconds(200), DyingPatience = TimeSpan.FromSeconds(2);
    private readonly string _path;
    private readonly int _lock;
    private readonly ulong _inode;
    private int _listener;

    private SocketLock(string path, int @lock, int listener, ulong inode)
    {
        _path = path;
        _lock = @lock;
        _listener = listener;
        _inode = inode;
    }

    /// <summary>The listening descriptor, non-blocking.</summary>
    public int Listener => _listener;

    /// <summary>Takes the path.</summary>
    /// <exception cref="SocketInUseException">Somebody listens there.</exception>
    /// <exception cref="IOException">Something else lies there.</exception>
    public static SocketLock Take(string path)
    {
        int held = TakeLock(path + ".lock", path);
        try
        {
            ClearStale(path);
            (int listener, ulong inode) = Listen(path);
            return new SocketLock(path, held, listener, inode);
        }
        catch
        {
            _ = Libc.Close(held);
            throw;
        }
    }

    public void Dispose()
    {
        int listener = Interlocked.Exchange(ref _listener, -1);
        if (listener < 0) return;
        // Names first, while the lock keeps others out: a successor finds nothing, or a lock file that is no longer the named one.
        if (Libc.Status(_path) is { } status && status.Inode == _inode) _ = Libc.Unlink(_path);
        _ = Libc.Close(listener);
        _ = Libc.Unlink(_path + ".lock");
        _ = Libc.Flock(_lock, Libc.LOCK_UN);
        _ = Libc.Close(_lock);
    }

    private static unsafe int TakeLock(string lockPath, string path)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            int fd = Libc.Open(lockPath, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK, 0x180);
            if (fd < 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error is Libc.EACCES or Libc.ELOOP) throw new UnauthorizedAccessException($"the lock file {lockPath} is not ours to open: {Marshal.GetPInvokeErrorMessage(error)}");
                throw Libc.Failure("open", lockPath, error);
            }

            FileStatus status = Libc.Status(fd);
            if (!status.IsRegularFile)
            {
                _ = Libc.Close(fd);
                throw new UnauthorizedAccessException($"the lock file {lockPath} is no plain file; it was left alone");
            }

            if (status.Uid != Libc.GetEuid())
            {
                _ = Libc.Close(fd);
                throw new UnauthorizedAccessException($"the lock file {lockPath} belongs to uid {status.Uid}, not to {Libc.GetEuid()}");
            }

            if (Libc.Flock(fd, Libc.LOCK_EX | Libc.LOCK_NB) != 0)
            {
                int error = Marshal.GetLastPInvokeError();
                _ = Libc.Close(fd);
                if (error is not (Libc.EAGAIN or Libc.EINTR)) throw Libc.Failure("flock", lockPath, error);
                int? listener = ListenerOf(path);
                // A server that was killed this very moment still has its lock: it is waited for, the longer if it refuses connections.
                if (Stopwatch.GetElapsedTime(start) > (listener is null ? DyingPatience : LivePatience)) throw new SocketInUseException(path, listener ?? NoteOf(lockPath));
                Thread.Sleep(5);
                continue;
            }

            // The one before us may have removed the name between our open and our lock: then others lock another file.
            if (Libc.Status(lockPath) is { } named && named.Inode == status.Inode)
            {
                // Of one width, so that it covers what a predecessor wrote.
                Span<byte> note = stackalloc byte[12];
                note.Fill((byte)' ');
                Environment.ProcessId.TryFormat(note, out _, provider: CultureInfo.InvariantCulture);
                note[^1] = (byte)'\n';
                fixed (byte* bytes = note) _ = Libc.Write(fd, bytes, note.Length);
                return fd;
            }

            _ = Libc.Close(fd);
        }
    }

    /// <summary>Makes way, where what lies there is a socket that nobody listens on.</summary>
    private static void ClearStale(string path)
    {
        if (Libc.Status(path) is not { } status) return;
        if ((status.Mode & 0xF000) != 0xC000) throw new IOException($"{path} is there and is not a socket; it was left alone");
        if (ListenerOf(path) is { } pid) throw new SocketInUseException(path, pid);
        if (Libc.Unlink(path) != 0 && Marshal.GetLastPInvokeError() != Libc.ENOENT) throw Libc.Failure("unlink", path);
    }

    /// <summary>Who listens at a path, by the kernel's word.</summary>
    /// <returns>The pid; null where connections are refused.</returns>
    private static int? ListenerOf(string path)
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

    /// <summary>The pid that the lock's holder wrote down.</summary>
    private static int NoteOf(string lockPath)
    {
        try
        {
            return int.TryParse(File.ReadAllText(lockPath, Encoding.ASCII), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int pid) ? pid : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static (int Listener, ulong Inode) Listen(string path)
    {
        int fd = Libc.Socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("socket", path);
        try
        {
            // The kernel gives the name the mode of the socket, less the umask: set before bind, it is never wider, not even for a moment.
            if (Libc.ChangeMode(fd, 0x180) != 0) throw Libc.Failure("fchmod", path);
            if (Libc.Bind(fd, path) != 0) throw Libc.Failure("bind", path);
            FileStatus status = Libc.Status(path) ?? throw new IOException($"the socket {path} went away while it was made");
            if ((status.Permissions & 0x3F) != 0) throw new UnauthorizedAccessException($"the socket {path} has mode {Convert.ToString(status.Permissions, 8)} on this file system; others could connect");
            if (Libc.Listen(fd, Backlog) != 0) throw Libc.Failure("listen", path);
            return (fd, status.Inode);
        }
        catch
        {
            _ = Libc.Close(fd);
            throw;
        }
    }
}
