namespace Otto.Tools.Platform;

// Directories of the system that help texts name and tools use.

internal static class SystemPaths
{
    /// <summary>The file system in memory.</summary>
    public const string SharedMemory = "/dev/shm";

    /// <summary>The identity of this boot.</summary>
    public const string BootId = "/proc/sys/kernel/random/boot_id";
}
