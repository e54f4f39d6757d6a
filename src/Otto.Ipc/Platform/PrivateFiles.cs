using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Windows;

namespace Otto.Ipc.Platform;

// Files and directories of this user alone: never through a link, never another user's. Losing a race is an answer here, not an
// exception; why the
// system refused is a FileFailure, and the caller words the message.

internal static class PrivateFiles
{
    /// <summary>Whether this system is served.</summary>
    public static bool IsSupported => HostSystem.IsLinux;

    /// <summary>
    /// Opens a file. A link at the end of the path is refused, and a FIFO of that name does not block.
    /// </summary>
    /// <returns><see langword="null"/> if the system refused.</returns>
    public static SafeFileHandle? TryOpen(
        string path, FileAccess access, out FileFailure failure, bool append = false, bool mayCreate = false) =>
        IsSupported ? FileCalls.TryOpen(path, access, append, mayCreate, out failure) : throw NotServed();

    /// <summary>Makes a file that did not exist, readable and writable by its owner alone.</summary>
    /// <returns>
    /// <see langword="null"/> if the system refused; <see cref="FileFailureKind.Exists"/> if something of that name is
    /// there.
    /// </returns>
    public static SafeFileHandle? TryCreate(string path, FileAccess access, out FileFailure failure, bool append = false) =>
        IsSupported ? FileCalls.TryCreate(path, access, append, out failure) : throw NotServed();

    /// <summary>
    /// Makes a file that has no name yet, and vanishes with its handle unless <see cref="TryName"/> gives it one.
    /// </summary>
    public static SafeFileHandle? TryCreateUnnamed(string directory, out FileFailure failure) =>
        IsSupported ? FileCalls.TryCreateUnnamed(directory, out failure) : throw NotServed();

    /// <summary>Gives an unnamed file its name, in one step.</summary>
    public static FileFailure TryName(SafeFileHandle unnamed, string path) => FileCalls.TryName(unnamed, path);

    /// <summary>Gives a file a further name.</summary>
    public static FileFailure TryLink(string existing, string path) => FileCalls.TryLink(existing, path);

    /// <summary>
    /// Moves a file to a name, over what was there: a process that opens it gets the old file or the new one.
    /// </summary>
    public static FileFailure TryMove(string from, string to) => FileCalls.TryMove(from, to);

    /// <summary>Removes a file or a link.</summary>
    public static FileFailure TryRemove(string path) => FileCalls.TryRemove(path);

    /// <summary>Makes a directory that belongs to this user alone.</summary>
    public static FileFailure TryCreateDirectory(string path) => FileCalls.TryCreateDirectory(path);

    /// <summary>Removes an empty directory.</summary>
    public static FileFailure TryRemoveDirectory(string path) => FileCalls.TryRemoveDirectory(path);

    /// <summary>Gives every byte of a file its storage, so that no later write can find the file system full.</summary>
    public static FileFailure TryAllocate(SafeFileHandle file, long bytes) => FileCalls.TryAllocate(file, bytes);

    /// <summary>
    /// How large a file this process may make. A write beyond that would end the process, so it must not be tried.
    /// </summary>
    public static long LargestFile => HostSystem.IsLinux ? Libc.LargestFile : long.MaxValue;

    /// <summary>Puts a file's bytes on the disk.</summary>
    public static FileFailure TryFlush(SafeFileHandle file) => FileCalls.TryFlush(file);

    /// <summary>Puts what changed in a directory on the disk.</summary>
    public static FileFailure TryFlushDirectory(string path) => FileCalls.TryFlushDirectory(path);

    /// <summary>What the system knows of an open file.</summary>
    public static FileStatus Status(SafeFileHandle file) => FileCalls.Status(file);

    /// <summary>
    /// What the system knows of a path, without following a link at its end; <see langword="null"/> if there is
    /// nothing.
    /// </summary>
    public static FileStatus? Status(string path) => IsSupported ? Libc.Status(path) : throw NotServed();

    /// <summary>Whether an open file lives in memory alone, and ends with this boot of the machine.</summary>
    public static bool IsInMemory(SafeFileHandle file) => HostSystem.UsesLinux && FileCalls.IsInMemory(file);

    /// <summary>
    /// Whether an exception of the runtime indicates that the file system is full or the user's quota is used up.
    /// </summary>
    public static bool IsFull(IOException failure) => failure.HResult is Libc.ENOSPC or Libc.EDQUOT;

    /// <summary>Gets the number of free bytes on the file system of a path; negative if it is not known.</summary>
    public static long FreeBytes(string path)
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

    /// <summary>Refuses a directory that others could write to.</summary>
    /// <param name="path">Which one.</param>
    /// <param name="name">What to call it in a message: "the segment directory".</param>
    /// <param name="variable">The environment variable that names another one.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    public static bool CheckDirectory(string path, string name, string variable)
    {
        if (Status(path) is not { } status) return false;
        uint me = ProcessIdentity.UserId;
        if (!status.IsDirectory) throw new IOException($"{name} {path} is not a directory (links are not followed)");
        if (status.Uid != me)
            throw new UnauthorizedAccessException($"{name} {path} belongs to uid {status.Uid}, not to {me}; name another in {variable}");
        if (status.OthersMayWrite)
            throw new UnauthorizedAccessException(
                $"{name} {path} has mode {Convert.ToString(status.Permissions, 8)}; others could write to it: chmod 700 it");
        return true;
    }

    /// <summary>
    /// Makes a directory of this user alone where there is none, with its parents, and refuses one that others could
    /// write to.
    /// </summary>
    /// <inheritdoc cref="CheckDirectory"/>
    public static void EnsureDirectory(string path, string name, string variable)
    {
        if (Status(path) is null) CreateDirectories(() => CreateDirectories(path), $"{name} {path}", variable);
        if (!CheckDirectory(path, name, variable)) throw new DirectoryNotFoundException($"{name} {path} was removed");
    }

    /// <summary>Makes a directory of this user alone, with its parents.</summary>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static void CreateDirectories(string path)
    {
        if (OperatingSystem.IsWindows()) throw NotServed();
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Makes directories. If they cannot be made here, the exception names another place.</summary>
    /// <param name="create">Makes them.</param>
    /// <param name="what">What they are, in a message.</param>
    /// <param name="variable">The environment variable that names another place.</param>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    /// <exception cref="IOException">The file system is read-only, or there is nothing to make them in.</exception>
    public static void CreateDirectories(Action create, string what, string variable)
    {
        try
        {
            create();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new UnauthorizedAccessException($"cannot create {what}: {e.Message}; name another in {variable}", e);
        }
        catch (IOException e) when (!IsFull(e))
        {
            throw new IOException($"cannot create {what}: {e.Message}; name another in {variable}", e.HResult);
        }
    }

    private static PlatformNotSupportedException NotServed() => WindowsPlatform.NotServed("files of one user alone need");
}
