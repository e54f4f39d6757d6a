using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Where segments live: a directory that belongs to this user alone, checked each time before a name in it is trusted.

/// <summary>The directory of this user's segments.</summary>
internal static class SegmentDirectory
{
    private const string Name = "the segment directory", Variable = "OTTO_SHM_DIR";

    /// <summary>Finds the directory, creates it where it is missing, and refuses one that
    /// others could write to.</summary>
    /// <param name="configured">The directory from options; else <c>OTTO_SHM_DIR</c>, else
    /// <c>/dev/shm/otto-uid</c>, else the temp directory's.</param>
    public static string Ensure(string? configured)
    {
        string path = PathOf(configured);
        PrivateFiles.EnsureDirectory(path, Name, Variable);
        return path;
    }

    /// <summary>Gets the path where the directory is or would be. Does not access the directory.</summary>
    public static string PathOf(string? configured)
    {
        SegmentStore.RequireSupported();
        return Path.GetFullPath(
            configured ?? (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named : SegmentStore.DefaultDirectory));
    }

    /// <summary>Refuses a directory that others could write to.</summary>
    /// <returns><see langword="true"/> if the directory exists; otherwise, <see langword="false"/>.</returns>
    public static bool Check(string path) => PrivateFiles.CheckDirectory(path, Name, Variable);
}
