using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Paths;

// Where the files of a run live: directories of this user alone, checked before a name in them is trusted, since whoever may write to a
// directory may swap what any name in it leads to.

internal static class RootDirectory
{
    /// <summary>Gets the path that the run's directory has or would have. Does not check whether it exists.</summary>
    public static string PathOf(string? configured) => PrivateFiles.IsSupported
        ? Path.GetFullPath(configured ?? Variable("OTTO_TASKS_DIR") ?? Variable("OTTO_HOME") ?? ".otto")
        : throw new PlatformNotSupportedException("files as a transport need Linux on x64 or arm64");

    /// <summary>Makes sure of a directory below the run's, and of everything between.</summary>
    /// <returns>Its path.</returns>
    public static string Ensure(string root, params ReadOnlySpan<string> below)
    {
        if (PrivateFiles.Status(root) is null && Path.GetDirectoryName(root) is { } parent)
            PrivateFiles.CreateDirectories(() => Directory.CreateDirectory(parent), $"the directory {parent}", "OTTO_TASKS_DIR");
        Ensure(root);
        string path = root;
        foreach (string name in below)
        {
            path = Path.Combine(path, name);
            Ensure(path);
        }

        return path;
    }

    /// <summary>Makes a directory where there is none, and refuses one that is not this user's alone.</summary>
    public static void Ensure(string path)
    {
        FileFailure failure = PrivateFiles.TryCreateDirectory(path);
        if (failure.Failed && failure.Kind != FileFailureKind.Exists) throw PrivateFile.Refused("mkdir", path, failure);
        if (PrivateFiles.Status(path) is { IsLink: true })
            throw new UnauthorizedAccessException($"{path} is a symbolic link, which is not followed; name the directory itself");
        if (!PrivateFiles.CheckDirectory(path, "the directory", "OTTO_TASKS_DIR"))
            throw new DirectoryNotFoundException($"the directory {path} was removed");
    }

    /// <summary>Gets the names in a directory; none if there is no directory.</summary>
    public static string[] NamesIn(string path)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry))];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
