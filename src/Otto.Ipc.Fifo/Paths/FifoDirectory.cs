using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Paths;

// Where FIFOs live: a directory that belongs to this user alone, checked each time before a name in it is trusted.

internal static class FifoDirectory
{
    /// <summary>Finds the directory, creates it where it is missing, and refuses one that
    /// others could write to.</summary>
    /// <param name="configured">The directory from options; else <c>OTTO_FIFO_DIR</c>, else
    /// <c>$XDG_RUNTIME_DIR/otto</c>, else <c>otto-uid</c> in the temp directory.</param>
    public static string Ensure(string? configured)
    {
        string path = PathOf(configured);
        if (PrivateFiles.Status(path) is null)
        {
            try
            {
                PrivateFiles.CreateDirectories(path);
            }
            catch (UnauthorizedAccessException e)
            {
                throw new UnauthorizedAccessException($"cannot create the directory {path} for FIFOs; name another in OTTO_FIFO_DIR", e);
            }
        }

        Check(path);
        return path;
    }

    /// <summary>Gets the path that the directory has or would have. Does not check whether it exists.</summary>
    public static string PathOf(string? configured) => PrivateFiles.IsSupported
        ? Path.GetFullPath(configured ?? Default())
        : throw new PlatformNotSupportedException("FIFOs are offered on Linux, x64 and arm64");

    /// <summary>Refuses a directory that others could write to.</summary>
    public static void Check(string path)
    {
        FileStatus status = PrivateFiles.Status(path)
            ?? throw new DirectoryNotFoundException($"the directory {path} for FIFOs does not exist");
        uint me = ProcessIdentity.UserId;
        if (!status.IsDirectory) throw new IOException($"{path}, the directory for FIFOs, is not a directory (links are not followed)");
        if (status.Owner != me)
            throw new UnauthorizedAccessException(
                $"the directory {path} for FIFOs belongs to uid {status.Owner}, not to {me}; name another in OTTO_FIFO_DIR");
        if (status.OthersMayWrite)
            throw new UnauthorizedAccessException($"the directory {path} for FIFOs has mode {Convert.ToString(status.Permissions, 8)}; "
                + $"others could write to it: chmod 700 it");
    }

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable("OTTO_FIFO_DIR") is { Length: > 0 } named) return named;
        return Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime
            ? Path.Combine(runtime, "otto")
            : Path.Combine("/tmp", $"otto-{ProcessIdentity.UserId}");
    }
}
