using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Paths;

// Where FIFOs live: a directory that belongs to this user alone, checked each time before a name in it is trusted.

internal static class FifoDirectory
{
    private const string Name = "the FIFO directory", Variable = "OTTO_FIFO_DIR";

    /// <summary>Finds the directory, creates it where it is missing, and refuses one that
    /// others could write to.</summary>
    /// <param name="configured">The directory from options; else <c>OTTO_FIFO_DIR</c>, else
    /// <c>$XDG_RUNTIME_DIR/otto</c>, else <c>otto-uid</c> in the temp directory.</param>
    public static string Ensure(string? configured)
    {
        string path = PathOf(configured);
        PrivateFiles.EnsureDirectory(path, Name, Variable);
        return path;
    }

    /// <summary>Gets the path that the directory has or would have. Does not check whether it exists.</summary>
    public static string PathOf(string? configured) => PrivateFiles.IsSupported
        ? Path.GetFullPath(configured ?? Default())
        : throw new PlatformNotSupportedException("FIFOs are offered on Linux, x64 and arm64");

    /// <summary>Refuses a directory that others could write to.</summary>
    public static void Check(string path)
    {
        if (!PrivateFiles.CheckDirectory(path, Name, Variable)) throw new DirectoryNotFoundException($"{Name} {path} does not exist");
    }

    private static string Default()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named) return named;
        return Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime
            ? Path.Combine(runtime, "otto")
            : Path.Combine("/tmp", $"otto-{ProcessIdentity.UserId}");
    }
}
