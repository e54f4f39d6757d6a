namespace Otto.Tools.Demo;

// A run's own segments, apart from the user's: gone afterwards, and gone at the next run where this one was killed.

/// <summary>A directory for this run's segments, in shared memory where there is some.</summary>
internal sealed class ScratchSegments : IDisposable
{
    private const string Prefix = "otto-demo-", LockSuffix = ".lock";
    private readonly FileStream _held;

    public ScratchSegments()
    {
        string parent = Environment.GetEnvironmentVariable("OTTO_SHM_DIR") is { Length: > 0 } named ? named
            : Directory.Exists(SystemPaths.SharedMemory) ? SystemPaths.SharedMemory : System.IO.Path.GetTempPath();
        Directory.CreateDirectory(parent);
        RemoveLeftovers(parent);
        Path = System.IO.Path.Combine(parent, $"{Prefix}{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..8]}");
        // A lock of the kernel's says to other runs that this one lives: a pid says nothing to one in another container.
        try
        {
            _held = Hold(Path + LockSuffix);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UnauthorizedAccessException($"{e.Message}; name a directory that can be written to in OTTO_SHM_DIR", e);
        }
    }

    public string Path { get; }

    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
        _held.Dispose();
    }

    private static FileStream Hold(string path) =>
        new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);

    /// <summary>Removes what killed runs left: directories of ours whose lock nobody holds.</summary>
    private static void RemoveLeftovers(string parent)
    {
        foreach (string path in Directory.EnumerateDirectories(parent, Prefix + "*"))
        {
            try
            {
                using FileStream held = Hold(path + LockSuffix);
                Directory.Delete(path, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A live run's, another user's, or another run was quicker: not ours to worry about.
            }
        }
    }
}
