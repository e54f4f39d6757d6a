using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Where segments live: a directory that belongs to this user alone, checked each time before a name in it is trusted.

/// <summary>The directory of this user's segments.</summary>
internal static class SegmentDirectory
{
    /// <summary>Finds the directory, creates it where it is missing, and refuses one that others could write to.</summary>
    /// <param name="configured">The directory from options; else <c>OTTO_SHM_DIR</c>, else <c>/dev/shm/otto-uid</c>, else the temp directory's.</param>
    public static string Ensure(string? configured)
    {
        string path = PathOf(configured);
        if (OperatingSystem.IsLinux() && Libc.Status(path) is null)
        {
            try
            {
                Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
            catch (UnauthorizedAccessException e)
            {
                throw new UnauthorizedAccessException($"cannot create the segment directory {path}; name another in OTTO_SHM_DIR", e);
            }
        }

        return Check(path) ? path : throw new DirectoryNotFoundException($"the segment directory {path} went away");
    }

    /// <summary>Where the directory is or would be; nothing is looked at.</summary>
    public static string PathOf(string? configured) => OperatingSystem.IsLinux() && Libc.Supported
        ? Path.GetFullPath(configured ?? Default())
        : throw new PlatformNotSupportedException("shared memory segments need Linux on x64 or arm64");

    /// <summary>Refuses a directory that others could write to.</summary>
    /// <returns><see langword="false"/> where there is none.</returns>
    public static bool Check(string path)
    {
        if (Libc.Status(path) is not { } status) return false;
        uint me = Libc.GetEuid();
        if (!status.IsDirectory) throw new IOException($"the segment directory {path} is not a directory (links are not followed)");
        if (status.Uid != me) throw new UnauthorizedAccessException($"the segment directory {path} belongs to uid {status.Uid}, not to {me}; name another in OTTO_SHM_DIR");
        if ((status.Permissions & 0x12) != 0) // group or others may write
            throw new UnauthorizedAccessException($"the segment directory {path} has mode {Convert.ToString(status.Permissions, 8)}; others could write to it: chmod 700 it");
        return true;
    }

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable("OTTO_SHM_DIR") is { Length: > 0 } named) return named;
        string parent = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        return Path.Combine(parent, $"otto-{Libc.GetEuid()}");
    }
}
