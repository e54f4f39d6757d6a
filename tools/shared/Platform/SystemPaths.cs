namespace Otto.Tools.Platform;

// Directories of the system that help texts name and tools use.

internal static class SystemPaths
{
    /// <summary>The file system in memory.</summary>
    public const string SharedMemory = "/dev/shm";

    /// <summary>Whether a process with this id exists.</summary>
    public static bool HasProcess(int id) => Directory.Exists($"/proc/{id}");
}
