using System.Globalization;

namespace Otto.Tools.Demo;

// A run's own segments, apart from the user's: gone afterwards, and gone at the next run where this one was killed.

/// <summary>A directory for this run's segments, in shared memory where there is some.</summary>
internal sealed class ScratchSegments : IDisposable
{
    private const string Prefix = "otto-demo-";

    public ScratchSegments()
    {
        string parent = Environment.GetEnvironmentVariable("OTTO_SHM_DIR") is { Length: > 0 } named ? named
            : Directory.Exists(SystemPaths.SharedMemory) ? SystemPaths.SharedMemory : System.IO.Path.GetTempPath();
        if (Directory.Exists(parent)) RemoveLeftovers(parent);
        Path = System.IO.Path.Combine(parent, $"{Prefix}{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..8]}");
    }

    public string Path { get; }

    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
    }

    /// <summary>Removes what killed runs left: directories of ours whose process is gone.</summary>
    private static void RemoveLeftovers(string parent)
    {
        foreach (string path in Directory.EnumerateDirectories(parent, Prefix + "*"))
        {
            string[] parts = System.IO.Path.GetFileName(path)[Prefix.Length..].Split('-');
            if (parts.Length != 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                || SystemPaths.HasProcess(pid)) continue;
            try
            {
                Directory.Delete(path, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Another user's, or another run was quicker: not ours to worry about.
            }
        }
    }
}
