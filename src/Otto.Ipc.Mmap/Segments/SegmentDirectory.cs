using Otto.Ipc.Native;

namespace Otto.Ipc.Mmap.Segments;

// Where segments live: a directory that belongs to this user alone, checked each time before a name in it is trusted.

/// <summary>The directory of this user's segments.</summary>
internal static class SegmentDirectory
{
    /// <summary>Finds the directory, creates it where it is missing, and refuses one that others could write to.</summary>
    /// <param name="configured">The directory from options; else <c>OTTO_SHM_DIR</c>, else <c>/dev/shm/otto-uid</c>, else the temp directory's.</param>
    public static string Ensure(string? configured)
    {
        if (!OperatingSystem.IsLinux() || !Libc.Supported) throw new PlatformNotSupportedException("shared memory segments need Linux on x64 or arm64");
        string path = Path.GetFullPath(configured ?? Default());
        if (Libc.Status(path) is null)
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

        FileStatus status = Libc.Status(path) ?? throw new DirectoryNotFoundException($"the segment directory {path} went away");
        uint me = Libc.GetEuid();
        if (!status.IsDirectory) throw new IOException($"the segment directory {path} is not a directory (links are not followed)");
        if (status.Uid != me) throw new UnauthorizedAccessException($"the segment directory {path} belongs to uid {status.Uid}, not to {me}; name another in OTTO_SHM_DIR");
        if ((status.Permissions & 0x12) != 0) // group or others may write
            throw new UnauthorizedAccessException($"the segment directory {path} has mode {Convert.ToString(status.Permissions, 8)}; others could write to it: chmod 700 it");
        return path;
    }

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable("OTTO_SHM_DIR") is { Length: > 0 } named) return named;
        string parent = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        return Path.Combine(parent, $"otto-{Libc.GetEuid()}");
    }
}
