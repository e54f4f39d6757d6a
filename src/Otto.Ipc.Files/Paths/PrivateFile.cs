using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Paths;

// The only place that opens, makes, moves or removes a file: never through a link, never another user's, never what is no plain file.

internal static class PrivateFile
{
    private const int OwnerOnly = 0x180, OthersWrite = 0x2;
    // O_NONBLOCK: opening a FIFO that somebody left there must not hang.
    private static readonly int Careful = Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK;

    /// <summary>Opens a file.</summary>
    /// <param name="path">Which one.</param>
    /// <param name="access"><see cref="Libc.O_RDONLY"/>, <see cref="Libc.O_RDWR"/> or <see cref="Libc.O_WRONLY"/>, and <see cref="Libc.O_APPEND"/> where wanted.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="UnauthorizedAccessException">It is a link, no plain file, another user's, or writable by others.</exception>
    public static SafeFileHandle? TryOpen(string path, int access) => Open(path, access, mayCreate: false);

    /// <summary>Opens a file for reading and writing, and makes an empty one where there is none.</summary>
    public static SafeFileHandle OpenOrCreate(string path) =>
        Open(path, Libc.O_RDWR, mayCreate: true) ?? throw new DirectoryNotFoundException($"the directory of {path} does not exist");

    /// <summary>Makes a file that did not exist.</summary>
    /// <returns>Null where something of that name exists; it was not touched.</returns>
    public static SafeFileHandle? TryCreate(string path, int access)
    {
        int fd;
        int error = 0;
        do fd = Libc.Open(path, access | Libc.O_CREAT | Libc.O_EXCL | Careful, OwnerOnly);
        while (fd < 0 && (error = Marshal.GetLastPInvokeError()) == Libc.EINTR);
        if (fd >= 0) return new SafeFileHandle(fd, ownsHandle: true);
        return error == Libc.EEXIST ? null : throw Refused("open", path, error);
    }

    /// <summary>Writes a new file whole, or leaves none.</summary>
    /// <param name="path">A name that is this process's to use; what an earlier one left there is removed.</param>
    /// <param name="bytes">What it will hold.</param>
    /// <param name="flush">Whether its bytes must reach the disk.</param>
    /// <returns>The file, open.</returns>
    public static SafeFileHandle WriteNew(string path, ReadOnlySpan<byte> bytes, FlushLevel flush)
    {
        SafeFileHandle? file = TryCreate(path, Libc.O_RDWR);
        if (file is null)
        {
            Remove(path);
            file = TryCreate(path, Libc.O_RDWR) ?? throw new IOException($"{path} is being made by another process");
        }

        try
        {
            Write(file, path, bytes, 0);
            if (flush != FlushLevel.None) Flush(file, path);
            return file;
        }
        catch
        {
            file.Dispose();
            Remove(path);
            throw;
        }
    }

    /// <summary>Writes all bytes at an offset, or after the end where the file was opened for appending.</summary>
    /// <exception cref="IOException">There is no room; the message has the numbers.</exception>
    public static void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> bytes, long offset)
    {
        try
        {
            RandomAccess.Write(file, bytes, offset);
        }
        catch (IOException e) when (e.HResult is Libc.ENOSPC or Libc.EDQUOT)
        {
            throw new IOException(
                $"writing {bytes.Length:N0} bytes to {path} failed, {FreeBytes(path):N0} are free there; free some, or name another directory", Libc.ENOSPC);
        }
    }

    /// <summary>Reads a file whole.</summary>
    /// <exception cref="CorruptSegmentException">It is larger than it may be; it was not read.</exception>
    public static byte[] ReadAll(SafeFileHandle file, string path, long most)
    {
        long size = RandomAccess.GetLength(file);
        if (size > most) throw new CorruptSegmentException($"{path} has {size:N0} bytes, the limit is {most:N0}; remove it, or raise the limit");
        byte[] bytes = new byte[size];
        int had = 0;
        while (had < bytes.Length)
        {
            int read = RandomAccess.Read(file, bytes.AsSpan(had), had);
            if (read == 0) return bytes[..had];
            had += read;
        }

        return bytes;
    }

    /// <summary>Moves a file to a name, over what stood there.</summary>
    /// <returns>False where there was nothing to move: another was quicker.</returns>
    public static bool Move(string from, string to)
    {
        if (Libc.Rename(from, to) == 0) return true;
        int error = Marshal.GetLastPInvokeError();
        return error is Libc.ENOENT or Libc.ENOTDIR ? false : throw Refused("rename", $"{from} to {to}", error);
    }

    /// <summary>Removes a file or a link.</summary>
    /// <returns>False where there was none.</returns>
    public static bool Remove(string path)
    {
        if (Libc.Unlink(path) == 0) return true;
        int error = Marshal.GetLastPInvokeError();
        return error is Libc.ENOENT or Libc.ENOTDIR ? false : throw Refused("unlink", path, error);
    }

    /// <summary>Puts what changed in a directory on the disk.</summary>
    public static void FlushDirectory(string path)
    {
        int fd = Libc.Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (fd < 0) throw Refused("open", path, Marshal.GetLastPInvokeError());
        using var directory = new SafeFileHandle(fd, ownsHandle: true);
        Flush(directory, path);
    }

    public static void Flush(SafeFileHandle file, string path)
    {
        while (Libc.Flush((int)file.DangerousGetHandle()) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != Libc.EINTR) throw Libc.Failure("fsync", path, error);
        }
    }

    public static FileStatus Status(SafeFileHandle file) => Libc.Status((int)file.DangerousGetHandle());

    public static Exception Refused(string call, string path, int error) => error switch
    {
        Libc.ELOOP => new UnauthorizedAccessException($"{path} is a symbolic link, which is not followed; remove it"),
        Libc.EISDIR => new UnauthorizedAccessException($"{path} is a directory, not a file"),
        Libc.EACCES or Libc.EPERM or Libc.EROFS => new UnauthorizedAccessException(Libc.Failure(call, path, error).Message),
        Libc.ENOENT or Libc.ENOTDIR => new DirectoryNotFoundException($"{path}: its directory does not exist, or went away"),
        Libc.ENOSPC or Libc.EDQUOT => new IOException($"{Libc.Failure(call, path, error).Message}; {FreeBytes(path):N0} bytes are free there", Libc.ENOSPC),
        _ => Libc.Failure(call, path, error),
    };

    private static SafeFileHandle? Open(string path, int access, bool mayCreate)
    {
        int fd;
        int error = 0;
        do fd = Libc.Open(path, access | Careful | (mayCreate ? Libc.O_CREAT : 0), OwnerOnly);
        while (fd < 0 && (error = Marshal.GetLastPInvokeError()) == Libc.EINTR);
        if (fd < 0) return error is Libc.ENOENT or Libc.ENOTDIR ? null : throw Refused("open", path, error);
        var file = new SafeFileHandle(fd, ownsHandle: true);
        try
        {
            FileStatus status = Status(file);
            if (!status.IsRegularFile) throw new UnauthorizedAccessException($"{path} is not a plain file");
            if (status.Uid != Libc.GetEuid()) throw new UnauthorizedAccessException($"{path} belongs to uid {status.Uid}, this process runs as uid {Libc.GetEuid()}");
            if ((status.Permissions & OthersWrite) != 0)
                throw new UnauthorizedAccessException($"{path} has mode {Convert.ToString(status.Permissions, 8)}; anybody could write to it: chmod 600 it");
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static long FreeBytes(string path)
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(path)!).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return -1;
        }
    }
}
