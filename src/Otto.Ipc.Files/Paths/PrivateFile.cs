using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Paths;

// The only place that opens, makes, moves or removes a file: never through a link, never another user's, never what is no plain file. Words
// what the system refused.

internal static class PrivateFile
{
    private const int AnybodyMayWrite = 2;

    /// <summary>Opens a file.</summary>
    /// <param name="path">Which one.</param>
    /// <param name="access">For what.</param>
    /// <param name="append">Whether every write goes to the end.</param>
    /// <returns><see langword="null"/> if there is none.</returns>
    /// <exception cref="UnauthorizedAccessException">It is a link, no plain file, another
    /// user's, or writable by others.</exception>
    public static SafeFileHandle? TryOpen(string path, FileAccess access, bool append = false) =>
        Open(path, access, append, mayCreate: false);

    /// <summary>Opens a file for reading and writing, and makes an empty one where there is none.</summary>
    public static SafeFileHandle OpenOrCreate(string path) =>
        Open(path, FileAccess.ReadWrite, append: false, mayCreate: true)
        ?? throw new DirectoryNotFoundException($"the directory of {path} does not exist");

    /// <summary>Creates a file that did not exist.</summary>
    /// <returns>The file; <see langword="null"/> if something of that name exists. It was not touched.</returns>
    public static SafeFileHandle? TryCreate(string path, bool append = false)
    {
        SafeFileHandle? file = PrivateFiles.TryCreate(path, FileAccess.ReadWrite, out FileFailure failure, append);
        return file is not null || failure.Kind == FileFailureKind.Exists ? file : throw Refused("open", path, failure);
    }

    /// <summary>Writes a new file whole, or leaves none.</summary>
    /// <param name="path">A name that is this process's to use; what an earlier one left there is removed.</param>
    /// <param name="bytes">What it will hold.</param>
    /// <param name="flush">Whether its bytes must reach the disk.</param>
    /// <returns>The file, open.</returns>
    public static SafeFileHandle WriteNew(string path, ReadOnlySpan<byte> bytes, FlushLevel flush)
    {
        SafeFileHandle? file = TryCreate(path);
        if (file is null)
        {
            Remove(path);
            file = TryCreate(path) ?? throw new IOException($"{path} is being made by another process");
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

    /// <summary>Writes all bytes at an offset, or after the end if the file was opened for appending.</summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <param name="bytes">What to write.</param>
    /// <param name="offset">Where; negative for a file that was opened for appending.</param>
    /// <exception cref="IOException">There is no room; the message has the numbers.</exception>
    public static void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> bytes, long offset)
    {
        long largest = PrivateFiles.LargestFile;
        if (largest < long.MaxValue && (offset < 0 ? RandomAccess.GetLength(file) : offset) + bytes.Length > largest)
            throw new IOException($"writing {bytes.Length:N0} bytes to {path} would pass the limit of {largest:N0} bytes for a file "
                + "of this process; raise it (ulimit -f)");
        try
        {
            RandomAccess.Write(file, bytes, Math.Max(offset, 0));
        }
        catch (IOException e) when (PrivateFiles.IsFull(e))
        {
            throw new IOException(
                $"writing {bytes.Length:N0} bytes to {path} failed, {PrivateFiles.FreeBytes(path):N0} are free there; free some space, or "
                + $"name another directory", e.HResult);
        }
    }

    /// <summary>Reads a file whole.</summary>
    /// <exception cref="CorruptSegmentException">It is larger than it may be; it was not read.</exception>
    public static byte[] ReadAll(SafeFileHandle file, string path, long most)
    {
        long size = RandomAccess.GetLength(file);
        if (size > most) throw new CorruptSegmentException(
            $"{path} has {size:N0} bytes, the limit is {most:N0}; remove it, or raise the limit");
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

    /// <summary>Moves a file to a name, and replaces any file of that name.</summary>
    /// <returns><see langword="true"/> if the file was moved; <see langword="false"/> if there was nothing to move
    /// because another process was quicker.</returns>
    public static bool Move(string from, string to)
    {
        FileFailure failure = PrivateFiles.TryMove(from, to);
        return !failure.Failed || (failure.Kind == FileFailureKind.NotFound ? false : throw Refused("rename", $"{from} to {to}", failure));
    }

    /// <summary>Removes a file or a link.</summary>
    /// <returns><see langword="true"/> if it was removed; <see langword="false"/> if there was none.</returns>
    public static bool Remove(string path)
    {
        FileFailure failure = PrivateFiles.TryRemove(path);
        return !failure.Failed || (failure.Kind == FileFailureKind.NotFound ? false : throw Refused("unlink", path, failure));
    }

    /// <summary>Puts what changed in a directory on the disk.</summary>
    public static void FlushDirectory(string path)
    {
        FileFailure failure = PrivateFiles.TryFlushDirectory(path);
        if (failure.Failed) throw Refused("fsync", path, failure);
    }

    public static void Flush(SafeFileHandle file, string path)
    {
        FileFailure failure = PrivateFiles.TryFlush(file);
        if (failure.Failed) throw failure.ToException("fsync", path);
    }

    /// <summary>Words why the system refused.</summary>
    public static Exception Refused(string call, string path, FileFailure failure) => failure.Kind switch
    {
        FileFailureKind.Link => new UnauthorizedAccessException($"{path} is a symbolic link, which is not followed; remove it"),
        FileFailureKind.Directory => new UnauthorizedAccessException($"{path} is a directory, not a file"),
        FileFailureKind.NotFound => new DirectoryNotFoundException($"{path}: its directory does not exist, or was removed"),
        FileFailureKind.Full or FileFailureKind.Quota => new IOException(
            $"{failure.ToException(call, path).Message}; {PrivateFiles.FreeBytes(path):N0} bytes are free there", failure.Number),
        _ => failure.ToException(call, path, "OTTO_TASKS_DIR"),
    };

    private static SafeFileHandle? Open(string path, FileAccess access, bool append, bool mayCreate)
    {
        SafeFileHandle? file = PrivateFiles.TryOpen(path, access, out FileFailure failure, append, mayCreate);
        if (file is null) return failure.Kind == FileFailureKind.NotFound ? null : throw Refused("open", path, failure);
        try
        {
            FileStatus status = PrivateFiles.Status(file);
            uint me = ProcessIdentity.UserId;
            if (!status.IsRegularFile) throw new UnauthorizedAccessException($"{path} is not a plain file");
            if (status.Owner != me)
                throw new UnauthorizedAccessException($"{path} belongs to uid {status.Owner}, this process runs as uid {me}");
            if ((status.Permissions & AnybodyMayWrite) != 0)
                throw new UnauthorizedAccessException(
                    $"{path} has mode {Convert.ToString(status.Permissions, 8)}; others could write to it: chmod 600 it");
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}
