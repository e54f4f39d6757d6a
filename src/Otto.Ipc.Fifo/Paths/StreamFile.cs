using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Paths;

// What the .NET ends of one stream must agree on lies in a small file beside the FIFO, name.fifo.lock, which is also their lock.
//
//  0      4         8              C
//  +------+---------+--------------+-------+
//  | FIFO | framing | max message  | begun |   little-endian; begun is one byte: 1 while a frame over PIPE_BUF is being written
//  +------+---------+--------------+-------+
//
// The whole file is flocked by whoever writes a frame, so flock(1) takes part. Far beyond its end lie the bytes of the kernel's locks of
// open files: one that every end holds for reading, and one that the receiver holds for writing. Whoever finds the first one free is
// alone, and decides the settings anew.

internal sealed class StreamFile : IDisposable
{
    public const string Suffix = ".lock";

    private const int HeaderBytes = 13, FramingAt = 4, LimitAt = 8, BegunAt = 12, RenewTries = 1000, LookMilliseconds = 1000;
    private static readonly int Magic = BinaryPrimitives.ReadInt32LittleEndian("FIFO"u8);
    private readonly SafeFileHandle _file;
    private readonly StreamLocks _locks;
    private readonly string _path;
    private FileStatus? _fifo;
    private long _seenAt;

    private StreamFile(SafeFileHandle file, string fifoPath)
    {
        _file = file;
        _locks = new StreamLocks(file);
        FifoPath = fifoPath;
        _path = fifoPath + Suffix;
    }

    public string FifoPath { get; }

    public FrameRules Rules { get; private set; }

    /// <summary>Whether a frame was begun, and its sender has not said that it is whole.
    /// Means a death only to who holds the lock for writing.</summary>
    public bool IsFrameBegun
    {
        get
        {
            byte begun = 0;
            return RandomAccess.Read(_file, new Span<byte>(ref begun), BegunAt) == 1 && begun != 0;
        }
        set
        {
            byte begun = value ? (byte)1 : (byte)0;
            RandomAccess.Write(_file, new ReadOnlySpan<byte>(in begun), BegunAt);
        }
    }

    /// <summary>Whether a .NET receiver has the stream open.</summary>
    public bool HasReceiver => _locks.HasReceiver;

    /// <summary>Joins the ends of a stream.</summary>
    /// <param name="fifoPath">The FIFO, which may not exist yet.</param>
    /// <param name="create">Whether to make it then.</param>
    /// <param name="options">What this end states.</param>
    public static StreamFile Join(string fifoPath, bool create, FifoStreamOptions options)
    {
        string path = fifoPath + Suffix;
        for (int attempt = 0; attempt < RenewTries; attempt++)
        {
            if (create) FifoFile.Ensure(fifoPath);
            else FifoFile.Check(fifoPath);
            var joined = new StreamFile(OpenFile(path), fifoPath);
            try
            {
                if (joined.TryJoin(options) && joined.IsStillNamed(path))
                {
                    joined._fifo = PrivateFiles.Status(fifoPath);
                    joined._seenAt = Environment.TickCount64;
                    return joined;
                }
            }
            catch
            {
                joined.Dispose();
                throw;
            }

            // Somebody is about to settle the rules, or to remove the stream: a matter of microseconds, or longer where it lost its core.
            joined.Dispose();
            LockPause.After(attempt);
        }

        throw new IOException(
            $"{path} stayed locked by another process, which stored no stream options in it; remove it if no program uses the FIFO");
    }

    /// <summary>Checks once per second that the FIFO and its file are still the ones of this name.</summary>
    /// <exception cref="IOException">They were deleted or replaced.</exception>
    public void ThrowIfRemoved()
    {
        if (Environment.TickCount64 - _seenAt < LookMilliseconds) return;
        _seenAt = Environment.TickCount64;
        if (PrivateFiles.Status(_path) is { } file && file.IsSameFile(PrivateFiles.Status(_file))
            && PrivateFiles.Status(FifoPath) is { } fifo && _fifo is { } own && fifo.IsSameFile(own)) return;
        _seenAt = 0; // Each call from now on.
        throw new IOException($"{FifoPath} was deleted or replaced while it was open here; processes that open it now use another FIFO: "
            + "dispose this end and open it again");
    }

    /// <summary>Takes the receiver's place.</summary>
    /// <returns><see langword="true"/> if this end is now the receiver; <see langword="false"/> if another end
    /// is.</returns>
    public bool TryBeReceiver() => _locks.TryBeReceiver();

    /// <summary>Takes the right to write a frame.</summary>
    /// <returns><see langword="true"/> if this end may write; <see langword="false"/> if another sender has the
    /// right.</returns>
    public bool TryLockWriting() => FileLock.TryAcquire(_file, _path);

    public void UnlockWriting() => FileLock.Release(_file);

    /// <summary>Deletes the FIFO and its file if no .NET end has it open.</summary>
    /// <returns><see langword="true"/> if the FIFO was deleted; <see langword="false"/> if there is none.</returns>
    public static bool Remove(string fifoPath)
    {
        if (PrivateFiles.Status(fifoPath) is null) return false;
        FifoFile.Check(fifoPath);
        using var file = new StreamFile(OpenFile(fifoPath + Suffix), fifoPath);
        if (!file._locks.TryBeAlone()) throw new IOException($"{fifoPath} is open in a process and was not removed; close it there first");
        FifoFile.Remove(fifoPath);
        PrivateFiles.TryRemove(fifoPath + Suffix);
        return true;
    }

    /// <summary>Leaves. The locks go first, since a child of this process that has not
    /// executed its program yet shares them.</summary>
    public void Dispose()
    {
        if (_file.IsClosed) return;
        _locks.Leave();
        UnlockWriting();
        _file.Dispose();
    }

    private static SafeFileHandle OpenFile(string path)
    {
        SafeFileHandle? file = PrivateFiles.TryOpen(path, FileAccess.ReadWrite, out FileFailure failure, mayCreate: true);
        if (file is null)
        {
            throw failure.Kind == FileFailureKind.Link
                ? new IOException($"{path} is a symbolic link; links are not followed")
                : failure.ToException("open", path, "OTTO_FIFO_DIR");
        }

        FileStatus status = PrivateFiles.Status(file);
        uint me = ProcessIdentity.UserId;
        string? problem = !status.IsRegularFile ? "is not a regular file"
            : status.Owner != me ? $"belongs to uid {status.Owner}, not to {me}"
            : status.OthersMayWrite ? $"has mode {Convert.ToString(status.Permissions, 8)}; others could write to it: chmod 600 it"
            : null;
        if (problem is null) return file;
        file.Dispose();
        throw new UnauthorizedAccessException($"{path} {problem}");
    }

    private bool IsStillNamed(string path)
    {
        return PrivateFiles.Status(path) is { } named && named.IsSameFile(PrivateFiles.Status(_file))
            && PrivateFiles.Status(FifoPath) is not null;
    }

    private bool TryJoin(FifoStreamOptions options)
    {
        if (_locks.TryBeAlone())
        {
            Rules = FrameRules.Of(options);
            Span<byte> header = stackalloc byte[HeaderBytes];
            header.Clear();
            BinaryPrimitives.WriteInt32LittleEndian(header, Magic);
            BinaryPrimitives.WriteInt32LittleEndian(header[FramingAt..], (int)Rules.Framing);
            BinaryPrimitives.WriteInt32LittleEndian(header[LimitAt..], Rules.MaxMessageBytes);
            RandomAccess.Write(_file, header, 0);
            // From writing to reading in one step: nobody else decides in between.
            return _locks.TryJoin();
        }

        if (!_locks.TryJoin()) return false;
        Rules = ReadRules();
        if (options.Framing is { } framing && framing != Rules.Framing)
            throw new ArgumentException($"framing {framing} differs from {Rules.Framing}, which the other ends of {FifoPath} use",
                nameof(options));
        if (options.MaxMessageBytes is { } limit && limit != Rules.MaxMessageBytes)
            throw new ArgumentException(
                $"max message bytes {limit:N0} differs from {Rules.MaxMessageBytes:N0}, which the other ends of {FifoPath} use",
                nameof(options));
        return true;
    }

    private FrameRules ReadRules()
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        int read = RandomAccess.Read(_file, header, 0);
        int framing = BinaryPrimitives.ReadInt32LittleEndian(header[FramingAt..]),
            limit = BinaryPrimitives.ReadInt32LittleEndian(header[LimitAt..]);
        if (read != HeaderBytes || BinaryPrimitives.ReadInt32LittleEndian(header) != Magic || !Enum.IsDefined((FifoFraming)framing)
            || limit is < 1 or > FifoStreamOptions.MostMessageBytes)
        {
            throw new InvalidDataException(
                $"{FifoPath}{Suffix} holds no stream options ({read} of {HeaderBytes} bytes, framing {framing}, limit {limit}); "
                + $"remove it while no process uses the FIFO");
        }

        return new FrameRules((FifoFraming)framing, limit);
    }
}
