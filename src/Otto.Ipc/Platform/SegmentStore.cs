using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Portable;
using Otto.Ipc.Platform.Windows;

namespace Otto.Ipc.Platform;

// The files that shared memory is made of: made whole before they have a name, checked in full before a byte of them is mapped.

internal static class SegmentStore
{
    private const string DisabledSwitch = "Otto.Ipc.Mmap.Disabled";

    /// <summary>
    /// Whether segments work here: the system is served, and the AppContext switch <c>Otto.Ipc.Mmap.Disabled</c> is not
    /// set.
    /// </summary>
    public static bool IsSupported => HostSystem.IsLinux && !(AppContext.TryGetSwitch(DisabledSwitch, out bool disabled) && disabled);

    /// <summary>The directory whose files live in memory, whether or not it exists.</summary>
    public static string MemoryDirectory => OperatingSystem.IsLinux() ? "/dev/shm" : Path.GetTempPath();

    /// <summary>The default directory of this user's segments.</summary>
    public static string DefaultDirectory
    {
        get
        {
            string parent = Directory.Exists(MemoryDirectory) ? MemoryDirectory : Path.GetTempPath();
            return Path.Combine(parent, $"otto-{ProcessIdentity.UserId}");
        }
    }

    /// <summary>Throws where segments do not work.</summary>
    public static void RequireSupported()
    {
        if (!IsSupported) throw WindowsPlatform.NotServed("shared memory segments need");
    }

    /// <summary>
    /// Makes a file that does not have its name yet, and vanishes with its handle unless
    /// <see cref="TryName"/> gives it one.
    /// </summary>
    /// <exception cref="IOException">The file system has no such files; the message describes what to do.</exception>
    public static SafeFileHandle CreateUnnamed(string directory)
    {
        if (!HostSystem.UsesLinux) return TemporaryFiles.Create(directory);
        if (PrivateFiles.TryCreateUnnamed(directory, out FileFailure failure) is { } file) return file;
        throw failure.Kind is FileFailureKind.Unsupported or FileFailureKind.Directory
            ? new IOException($"the file system of {directory} has no unnamed files (O_TMPFILE); "
                + "name a directory on tmpfs, ext4 or xfs in OTTO_SHM_DIR")
            : Refusal("open(O_TMPFILE)", directory, failure);
    }

    /// <summary>Gives an unnamed file its name, in one step.</summary>
    /// <returns><see langword="false"/> if something of that name is there.</returns>
    public static bool TryName(SafeFileHandle file, string path)
    {
        if (!HostSystem.UsesLinux) return TryNameTemporary(TemporaryFiles.PathOf(file), path);
        FileFailure failure = PrivateFiles.TryName(file, path);
        if (!failure.Failed) return true;
        return failure.Kind == FileFailureKind.Exists ? false : throw failure.ToException("linkat", path);
    }

    /// <summary>Gives a file with a temporary name its own, in one step.</summary>
    public static bool TryNameTemporary(string temporary, string path)
    {
        if (OperatingSystem.IsWindows()) return TemporaryFiles.TryMove(temporary, path);
        FileFailure failure = PrivateFiles.TryLink(temporary, path);
        // Not found: another creator took it for abandoned.
        if (failure.Failed)
            return failure.Kind is FileFailureKind.Exists or FileFailureKind.NotFound ? false : throw failure.ToException("link", path);
        _ = PrivateFiles.TryRemove(temporary);
        return true;
    }

    /// <summary>
    /// Every byte gets its storage now: a page that cannot be had later would end the process, which cannot be caught.
    /// </summary>
    /// <exception cref="IOException">There is no room; the message has the numbers.</exception>
    public static void Allocate(SafeFileHandle file, long bytes, string path)
    {
        if (!HostSystem.UsesLinux)
        {
            try
            {
                TemporaryFiles.Allocate(file, bytes);
                return;
            }
            catch (IOException e) when (PrivateFiles.IsFull(e))
            {
                throw NoRoom(bytes, path, e.HResult);
            }
        }

        FileFailure failure = PrivateFiles.TryAllocate(file, bytes);
        if (!failure.Failed) return;
        if (failure.Kind == FileFailureKind.TooLarge) throw OverLimit(bytes, path, failure.Number);
        throw failure.Kind == FileFailureKind.Full ? NoRoom(bytes, path, failure.Number) : failure.ToException("posix_fallocate", path);
    }

    /// <summary>As <see cref="Allocate"/>, for a file that other processes may have mapped already.</summary>
    /// <exception cref="IOException">There is no room, or only the Linux part could do it without touching what is
    /// there.</exception>
    public static void AllocateHoles(SafeFileHandle file, long bytes, string path)
    {
        if (!HostSystem.UsesLinux)
            throw new IOException($"{path} has holes, as a sparse copy has, which cannot be filled here while others may use it; "
                + "copy it with cp --sparse=never, or remove it");
        Allocate(file, bytes, path);
    }

    // An IOException in each case: where a queue has another route, it does without segments.
    private static IOException Refusal(string call, string what, FileFailure failure) =>
        failure.Kind is FileFailureKind.Denied or FileFailureKind.ReadOnly
        ? FileFailure.Describe(call, what, failure.Number, "OTTO_SHM_DIR") : failure.ToException(call, what);

    private static IOException OverLimit(long bytes, string path, int number) => new(
        $"{path} needs {bytes:N0} bytes, and this process may make no file over {PrivateFiles.LargestFile:N0}; "
        + "raise the limit (ulimit -f), or make it smaller",
        number);

    private static IOException NoRoom(long bytes, string path, int number)
    {
        string directory = Path.GetDirectoryName(path)!;
        long free = new DriveInfo(directory).AvailableFreeSpace;
        return new IOException(
            $"{path} needs {bytes:N0} bytes and {directory} has {free:N0} free; make it smaller, remove unused files there, "
            + "or name another directory in OTTO_SHM_DIR",
            number);
    }

    /// <summary>Opens a file that is this user's alone, and nothing else.</summary>
    /// <returns><see langword="null"/> if there is none.</returns>
    public static SafeFileHandle? TryOpen(string path, out FileStatus status, bool writable = true)
    {
        status = default;
        SafeFileHandle? file = PrivateFiles.TryOpen(path, writable ? FileAccess.ReadWrite : FileAccess.Read, out FileFailure failure);
        uint me = ProcessIdentity.UserId;
        if (file is null)
        {
            return failure.Kind switch
            {
                FileFailureKind.NotFound => null,
                FileFailureKind.Denied => throw new UnauthorizedAccessException($"{path} may not be opened by uid {me}"),
                FileFailureKind.Link => throw new IOException($"{path} is a symbolic link; links are not followed"),
                _ => throw Refusal("open", path, failure),
            };
        }

        status = PrivateFiles.Status(file);
        string? problem =
            !status.IsRegularFile ? "is not a regular file"
            : status.Uid != me ? $"belongs to uid {status.Uid}, not to {me}"
            : status.OthersMayUse ? $"has mode {Convert.ToString(status.Permissions, 8)}; a segment has 600"
            : null;
        if (problem is null) return file;
        file.Dispose();
        throw new UnauthorizedAccessException($"{path} {problem}; it was left alone");
    }

    /// <summary>Whether a path still leads to an open file.</summary>
    public static bool IsStillNamed(SafeFileHandle file, string path)
    {
        FileStatus own = PrivateFiles.Status(file);
        return !own.HasNoName && PrivateFiles.Status(path) is { } named && named.Inode == own.Inode;
    }

    /// <summary>Takes a name away; the file lives on in processes that have it open.</summary>
    public static void RemoveName(string path) => _ = PrivateFiles.TryRemove(path);

    /// <summary>Maps a file whole.</summary>
    public static nint Map(SafeFileHandle file, long length, bool writable) =>
        HostSystem.UsesLinux ? MemoryCalls.Map(file, length, writable) : MappedViews.Map(file, length, writable);

    /// <summary>Gives an address range back. Nothing may use it any more.</summary>
    public static void Unmap(nint address, long length)
    {
        if (HostSystem.UsesLinux) MemoryCalls.Unmap(address, length);
        else MappedViews.Unmap(address);
    }

    /// <summary>
    /// Releases a file's memory while a late reader may still use the address range, without ending the process: the
    /// reader finds zeros, or, with the portable part, what was there. The range itself is released once many others
    /// have been quarantined.
    /// </summary>
    public static void Quarantine(nint address, long length)
    {
        if (HostSystem.UsesLinux) MemoryCalls.Quarantine(address, length);
        else MappedViews.Quarantine(address, length);
    }
}
