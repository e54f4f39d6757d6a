using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Regions;

// One open descriptor on a region, for one operation. The only place that opens, makes, reads or writes the file; it never maps it
// (docs/decisions/0005-the-region-is-read-and-written-by-calls.md).

internal sealed class RegionFile : IDisposable
{
    private const int FirstRead = 4096;

    private readonly SafeFileHandle _handle;

    private RegionFile(string path, SafeFileHandle handle, FileStatus status, bool writable)
    {
        Path = path;
        _handle = handle;
        Status = status;
        IsWritable = writable;
    }

    public string Path { get; }

    public FileStatus Status { get; private set; }

    public bool IsWritable { get; }

    public long Size => Status.Size;

    public int Descriptor => (int)_handle.DangerousGetHandle();

    /// <summary>Opens the region at a path; null where there is none.</summary>
    /// <param name="path">A full path; a symbolic link at its end is refused.</param>
    /// <param name="forWriting">Whether writing is needed. A read asks for it too, to finish a dead writer's work, but does without.</param>
    public static RegionFile? TryOpen(string path, bool forWriting)
    {
        RequireLinux();
        // O_NONBLOCK: opening a FIFO that somebody left there must not hang.
        int flags = Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK;
        bool writable = true;
        int fd = Retry(() => Libc.Open(path, Libc.O_RDWR | flags, 0), out int error);
        if (fd < 0 && !forWriting && error is Libc.EACCES or Erofs or Eperm)
        {
            writable = false;
            fd = Retry(() => Libc.Open(path, Libc.O_RDONLY | flags, 0), out error);
        }

        if (fd < 0) return error is Libc.ENOENT or Enotdir ? null : throw Refused(path, error);

        var handle = new SafeFileHandle(fd, ownsHandle: true);
        try
        {
            FileStatus status = Libc.Status(fd);
            if (!status.IsRegularFile) throw new UnauthorizedAccessException($"{path} is not a regular file");
            if (status.Uid != Libc.GetEuid())
                throw new UnauthorizedAccessException($"{path} belongs to uid {status.Uid}, this process runs as uid {Libc.GetEuid()}; a region is shared by the processes of one user only");
            return new RegionFile(path, handle, status, writable);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Makes a region of this capacity that holds <c>{}</c>, all of it or nothing.</summary>
    /// <returns>False where a file of that name exists; it was not touched.</returns>
    public static bool TryCreate(string path, int capacity)
    {
        RequireLinux();
        if (Libc.Status(path) is not null) return false;
        string directory = System.IO.Path.GetDirectoryName(path) ?? throw new ArgumentException($"'{path}' names a directory, not a region's file");
        if (!Directory.Exists(directory)) throw new DirectoryNotFoundException($"the directory {directory} does not exist; make it, or name another in {RegionLocation.DirectoryVariable}");

        string? temporary = null;
        int fd = Retry(() => Libc.Open(directory, Libc.O_TMPFILE | Libc.O_RDWR | Libc.O_CLOEXEC, 0x180), out int error);
        if (fd < 0 && error is Libc.EOPNOTSUPP or Libc.EISDIR or Libc.ENOENT)
        {
            // File systems without O_TMPFILE: a hidden file, which a kill may leave behind; the region's own name still appears whole or not at all.
            string unique = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}.{Guid.NewGuid().ToString("n").AsSpan(0, 8)}");
            temporary = $"{directory}/.{System.IO.Path.GetFileName(path)}.{unique}";
            fd = Retry(() => Libc.Open(temporary, Libc.O_CREAT | Libc.O_EXCL | Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0x180), out error);
        }

        if (fd < 0) throw Refused(path, error);
        try
        {
            using var file = new RegionFile(path, new SafeFileHandle(fd, ownsHandle: true), default, writable: true);
            long size = RegionLayout.FileSizeFor(capacity);
            file.Allocate(size, "creating");
            RegionTrailer trailer = RegionLayout.ForCapacity(capacity);
            Span<byte> bytes = stackalloc byte[RegionLayout.TrailerBytes];
            trailer.Write(bytes);
            file.Write(trailer.Offset, bytes);
            RegionSlotHeader.For(0, "{}"u8).Write(bytes);
            "{}"u8.CopyTo(bytes[RegionLayout.SlotHeaderBytes..]);
            file.Write(trailer.SlotAt(0), bytes[..(RegionLayout.SlotHeaderBytes + 2)]);
            file.Write(0, "\u0002\0\0\0{}"u8);

            int linked = temporary is null
                ? Libc.LinkAt(Libc.AT_FDCWD, $"/proc/self/fd/{fd}", Libc.AT_FDCWD, path, Libc.AT_SYMLINK_FOLLOW)
                : Libc.LinkAt(Libc.AT_FDCWD, temporary, Libc.AT_FDCWD, path, 0);
            if (linked == 0) return true;
            int reason = System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
            return reason == Libc.EEXIST ? false : throw Refused(path, reason);
        }
        finally
        {
            if (temporary is not null) _ = Libc.Unlink(temporary);
        }
    }

    /// <summary>Whether the path still leads to this file; a foreign program may have replaced or removed it.</summary>
    public bool IsCurrent() => Libc.Status(Path) is { } now && now.Inode == Status.Inode && now.Device == Status.Device;

    /// <summary>Asks for the size again, which may have changed until the lock was had.</summary>
    public void Refresh() => Status = Libc.Status(Descriptor);

    /// <summary>Gives every byte of a sparse file its storage, so that a full file system is an error before the first byte is changed.</summary>
    public void EnsureAllocated()
    {
        if (Status.AllocatedBytes < Size) Allocate(Size, "writing");
    }

    public bool TryRead(long offset, Span<byte> target)
    {
        while (!target.IsEmpty)
        {
            int read = RandomAccess.Read(_handle, target, offset);
            if (read == 0) return false;
            offset += read;
            target = target[read..];
        }

        return true;
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_handle, bytes, offset);

    /// <summary>Reads length and text in one call where they fit into a page.</summary>
    /// <returns>Null, and a problem, where the length cannot be right for this file.</returns>
    public byte[]? ReadFront(out string? problem)
    {
        problem = null;
        Span<byte> first = stackalloc byte[(int)Math.Min(FirstRead, Size)];
        if (Size < RegionLayout.LengthBytes || !TryRead(0, first))
        {
            problem = $"the file has {Size} bytes, a length alone takes {RegionLayout.LengthBytes}";
            return null;
        }

        // Read once: a foreign program may change it at any time.
        uint length = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(first);
        long room = Size - RegionLayout.LengthBytes;
        if (length > room || length > RegionLayout.MaxValueBytes)
        {
            problem = $"length at 0 is {length}, the file has room for {Math.Min(room, RegionLayout.MaxValueBytes)}";
            return null;
        }

        byte[] text = new byte[length];
        ReadOnlySpan<byte> had = first[RegionLayout.LengthBytes..];
        if (had.Length >= text.Length)
        {
            had[..text.Length].CopyTo(text);
            return text;
        }

        had.CopyTo(text);
        if (TryRead(FirstRead, text.AsSpan(had.Length))) return text;
        problem = $"length at 0 is {length}, but the file was cut short while it was read";
        return null;
    }

    public void Dispose() => _handle.Dispose();

    private void Allocate(long size, string doing)
    {
        int error;
        do error = Libc.PosixFallocate(Descriptor, 0, size);
        while (error == Libc.EINTR);
        if (error == 0) return;
        if (error is not (Libc.ENOSPC or Edquot or Efbig)) throw Libc.Failure("posix_fallocate", Path, error);
        long free = FreeBytes();
        throw new RegionFullException(
            $"{doing} the region {Path} needs {size:N0} bytes, {free:N0} are free there; free some, choose a smaller size, or set {RegionLocation.DirectoryVariable}", size, free);
    }

    private long FreeBytes()
    {
        try
        {
            return new DriveInfo(System.IO.Path.GetDirectoryName(Path)!).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return 0;
        }
    }

    private const int Eperm = 1, Enotdir = 20, Efbig = 27, Erofs = 30, Edquot = 122;

    private static Exception Refused(string path, int error) => error switch
    {
        Libc.ELOOP => new UnauthorizedAccessException($"{path} is a symbolic link; a region's file must not be one"),
        Libc.EISDIR => new UnauthorizedAccessException($"{path} is a directory, not a region's file"),
        Libc.EACCES or Eperm or Erofs => new UnauthorizedAccessException(Libc.Failure("open", path, error).Message),
        Libc.ENOSPC or Edquot => new RegionFullException(Libc.Failure("open", path, error).Message),
        _ => Libc.Failure("open", path, error),
    };

    private static int Retry(Func<int> call, out int error)
    {
        int result;
        do
        {
            result = call();
            error = result < 0 ? System.Runtime.InteropServices.Marshal.GetLastPInvokeError() : 0;
        }
        while (error == Libc.EINTR);
        return result;
    }

    private static void RequireLinux()
    {
        if (!Libc.Supported) throw new PlatformNotSupportedException("a region needs Linux on x64 or arm64");
    }
}
