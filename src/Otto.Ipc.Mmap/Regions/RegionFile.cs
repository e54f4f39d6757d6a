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

    /// <summary>The open file, for its lock.</summary>
    public SafeFileHandle Handle => _handle;

    /// <summary>Opens the region at a path. Returns <see langword="null"/> if there is none.</summary>
    /// <param name="path">A full path; a symbolic link at its end is refused.</param>
    /// <param name="forWriting">Whether writing is needed. A read asks for it too, to
    /// finish a dead writer's work, but does without.</param>
    public static RegionFile? TryOpen(string path, bool forWriting)
    {
        RequireSupported();
        bool writable = true;
        SafeFileHandle? handle = PrivateFiles.TryOpen(path, FileAccess.ReadWrite, out FileFailure failure);
        if (handle is null && !forWriting && failure.Kind is FileFailureKind.Denied or FileFailureKind.ReadOnly)
        {
            writable = false;
            handle = PrivateFiles.TryOpen(path, FileAccess.Read, out failure);
        }

        if (handle is null) return failure.Kind == FileFailureKind.NotFound ? null : throw Refused(path, failure);
        try
        {
            FileStatus status = PrivateFiles.Status(handle);
            if (!status.IsRegularFile) throw new UnauthorizedAccessException($"{path} is not a regular file");
            if (status.Owner != ProcessIdentity.UserId)
                throw new UnauthorizedAccessException($"{path} belongs to uid {status.Owner}, this process runs as uid "
                    + $"{ProcessIdentity.UserId}; a region is shared by the processes of one user only");
            return new RegionFile(path, handle, status, writable);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Makes a region of this capacity that holds <c>{}</c>, all of it or nothing.</summary>
    /// <returns><see langword="true"/> if the region was created; otherwise, <see langword="false"/>: a file of that
    /// name exists, and it was not touched.</returns>
    public static bool TryCreate(string path, int capacity)
    {
        RequireSupported();
        if (PrivateFiles.Status(path) is not null) return false;
        string directory = System.IO.Path.GetDirectoryName(path)
            ?? throw new ArgumentException($"'{path}' names a directory, not a region's file");
        if (!Directory.Exists(directory))
            throw new DirectoryNotFoundException(
                $"the directory {directory} does not exist; create it, or name another in {RegionLocation.DirectoryVariable}");

        string? temporary = null;
        SafeFileHandle? handle = PrivateFiles.TryCreateUnnamed(directory, out FileFailure failure);
        if (handle is null && failure.Kind is FileFailureKind.Unsupported or FileFailureKind.Directory or FileFailureKind.NotFound)
        {
            // File systems without unnamed files: a hidden file, which a kill may leave behind; the
            // region's own name still appears whole or not at all.
            temporary = string.Create(CultureInfo.InvariantCulture,
                $"{directory}/.{System.IO.Path.GetFileName(path)}.{Environment.ProcessId}.{RandomNumber.Hex(8)}");
            handle = PrivateFiles.TryCreate(temporary, FileAccess.ReadWrite, out failure);
        }

        if (handle is null) throw Refused(path, failure);
        try
        {
            using var file = new RegionFile(path, handle, default, writable: true);
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

            FileFailure named = temporary is null ? PrivateFiles.TryName(handle, path) : PrivateFiles.TryLink(temporary, path);
            if (!named.Failed) return true;
            return named.Kind == FileFailureKind.Exists ? false : throw Refused(path, named);
        }
        finally
        {
            if (temporary is not null) _ = PrivateFiles.TryRemove(temporary);
        }
    }

    /// <summary>Whether the path still leads to this file; a foreign program may have replaced or removed it.</summary>
    public bool IsCurrent() => PrivateFiles.Status(Path) is { } now && now.IsSameFile(Status);

    /// <summary>Asks for the size again, which may have changed until the lock was had.</summary>
    public void Refresh() => Status = PrivateFiles.Status(_handle);

    /// <summary>Gives every byte of a sparse file its storage, so that a full file system
    /// is an error before the first byte is changed.</summary>
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
        FileFailure failure = PrivateFiles.TryAllocate(_handle, size);
        if (!failure.Failed) return;
        if (failure.Kind is not (FileFailureKind.Full or FileFailureKind.Quota or FileFailureKind.TooLarge))
            throw failure.ToException("posix_fallocate", Path);
        if (failure.Kind == FileFailureKind.TooLarge)
            throw new RegionFullException($"{doing} the region {Path} needs {size:N0} bytes, and this process may make no file over "
                + $"{PrivateFiles.LargestFile:N0}; raise the limit (ulimit -f), or choose a smaller size", size, PrivateFiles.LargestFile);
        long free = Math.Max(PrivateFiles.FreeBytes(Path), 0);
        throw new RegionFullException(
            $"{doing} the region {Path} needs {size:N0} bytes, {free:N0} are free there; free some space, choose a smaller size, or set "
            + $"{RegionLocation.DirectoryVariable}", size, free);
    }

    private static Exception Refused(string path, FileFailure failure) => failure.Kind switch
    {
        FileFailureKind.Link => new UnauthorizedAccessException($"{path} is a symbolic link; a region's file must not be one"),
        FileFailureKind.Directory => new UnauthorizedAccessException($"{path} is a directory, not a region's file"),
        FileFailureKind.Full or FileFailureKind.Quota => new RegionFullException(failure.ToException("open", path).Message),
        _ => failure.ToException("open", path, RegionLocation.DirectoryVariable),
    };

    private static void RequireSupported()
    {
        if (!PrivateFiles.IsSupported) throw new PlatformNotSupportedException("a region needs Linux on x64 or arm64");
    }
}
