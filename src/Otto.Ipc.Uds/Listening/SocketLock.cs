using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Listening;

// How a path becomes a listening socket of ours: the lock file says whether a server of ours lives, a connect probe whether anybody does.
// Only a socket that refuses connections is removed, and the new one has mode 0600 before it has a name.

/// <summary>A listening socket and the lock beside it, both gone with <see cref="Dispose"/>.</summary>
internal sealed class SocketLock : IDisposable
{
    private static readonly TimeSpan LiveTimeout = TimeSpan.FromMilliseconds(200), DyingTimeout = TimeSpan.FromSeconds(2);
    private readonly string _path;
    private SafeFileHandle _lock;
    private ulong _inode;
    private UnixSocket _listener;
    private int _disposed;

    private SocketLock(string path, SafeFileHandle @lock, UnixSocket listener, ulong inode)
    {
        _path = path;
        _lock = @lock;
        _listener = listener;
        _inode = inode;
    }

    /// <summary>The socket's path.</summary>
    public string Path => _path;

    /// <summary>The listening socket.</summary>
    public UnixSocket Listener => _listener;

    /// <summary>Takes the path.</summary>
    /// <exception cref="SocketInUseException">A process listens there.</exception>
    /// <exception cref="IOException">The path exists and is not a socket.</exception>
    public static SocketLock Take(string path)
    {
        SafeFileHandle held = TakeLock(path + ".lock", path);
        try
        {
            ClearStale(path);
            (UnixSocket listener, ulong inode) = Listen(path);
            return new SocketLock(path, held, listener, inode);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Whether the path still leads to the listening socket.</summary>
    public bool IsStillNamed => PrivateFiles.Status(_path) is { } status && status.Inode == _inode;

    /// <summary>Listens at the path again, whose name was deleted. No later client reaches the old listener.</summary>
    /// <returns>The old listener, for its owner to close.</returns>
    /// <exception cref="SocketInUseException">Another server listens there by now.</exception>
    public UnixSocket ListenAgain()
    {
        SocketPaths.EnsureDirectory(_path);
        string lockPath = _path + ".lock";
        // Deleted too: whoever came meanwhile may hold the lock of that name.
        if (PrivateFiles.Status(lockPath)?.Inode != PrivateFiles.Status(_lock).Inode)
        {
            SafeFileHandle held = TakeLock(lockPath, _path);
            FileLock.Release(_lock);
            _lock.Dispose();
            _lock = held;
        }

        ClearStale(_path);
        UnixSocket old = _listener;
        (_listener, _inode) = Listen(_path);
        return old;
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        // Names first, while the lock keeps others out: a successor finds nothing, or a lock file that is no longer the named one.
        if (PrivateFiles.Status(_path) is { } status && status.Inode == _inode) PrivateFiles.TryRemove(_path);
        _listener.Close();
        PrivateFiles.TryRemove(_path + ".lock");
        FileLock.Release(_lock);
        _lock.Dispose();
    }

    private static SafeFileHandle TakeLock(string lockPath, string path)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            SafeFileHandle file = Open(lockPath);
            try
            {
                FileStatus status = PrivateFiles.Status(file);
                if (!status.IsRegularFile)
                    throw new UnauthorizedAccessException($"the lock file {lockPath} is not a regular file; it was left alone");
                if (status.Owner != ProcessIdentity.UserId)
                    throw new UnauthorizedAccessException(
                        $"the lock file {lockPath} belongs to uid {status.Owner}, not to {ProcessIdentity.UserId}");
                if (!FileLock.TryAcquire(file, lockPath))
                {
                    int? listener = UnixSocket.ListenerOf(path);
                    // A server that was killed this very moment still has its lock: it is waited for, the longer if it refuses connections.
                    if (Stopwatch.GetElapsedTime(start) > (listener is null ? DyingTimeout : LiveTimeout))
                        throw new SocketInUseException(path, listener ?? NoteOf(lockPath));
                    file.Dispose();
                    Thread.Sleep(5);
                    continue;
                }

                // The one before us may have removed the name between our open and our lock: then others lock another file.
                if (PrivateFiles.Status(lockPath) is { } named && named.Inode == status.Inode)
                {
                    // Of one width, so that it covers what a predecessor wrote.
                    Span<byte> note = stackalloc byte[12];
                    note.Fill((byte)' ');
                    Environment.ProcessId.TryFormat(note, out _, provider: CultureInfo.InvariantCulture);
                    note[^1] = (byte)'\n';
                    RandomAccess.Write(file, note, 0);
                    return file;
                }
            }
            catch
            {
                file.Dispose();
                throw;
            }

            file.Dispose();
        }
    }

    private static SafeFileHandle Open(string lockPath)
    {
        if (PrivateFiles.TryOpen(lockPath, FileAccess.ReadWrite, out FileFailure failure, mayCreate: true) is { } file) return file;
        throw failure.Kind is FileFailureKind.Denied or FileFailureKind.Link
            ? new UnauthorizedAccessException($"the lock file {lockPath} cannot be opened: {failure.Reason}")
            : failure.ToException("open", lockPath, "OTTO_SOCKET");
    }

    /// <summary>Removes a socket at the path if no process listens on it.</summary>
    private static void ClearStale(string path)
    {
        if (PrivateFiles.Status(path) is not { } status) return;
        if (!status.IsSocket) throw new IOException($"{path} exists and is not a socket; it was left alone");
        if (UnixSocket.ListenerOf(path) is { } pid) throw new SocketInUseException(path, pid);
        FileFailure failure = PrivateFiles.TryRemove(path);
        if (failure.Failed && failure.Kind != FileFailureKind.NotFound) throw failure.ToException("unlink", path);
    }

    /// <summary>The pid that the lock's holder wrote down.</summary>
    private static int NoteOf(string lockPath)
    {
        try
        {
            return int.TryParse(File.ReadAllText(lockPath, Encoding.ASCII), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture,
                out int pid) ? pid : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static (UnixSocket Listener, ulong Inode) Listen(string path)
    {
        UnixSocket listener = UnixSocket.Listen(path);
        return (listener, PrivateFiles.Status(path)?.Inode ?? 0);
    }
}
