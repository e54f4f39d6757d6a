using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

/// <summary>
/// Reports changes in directories. A waiter that still waits arms again, so a directory without waiters costs nothing,
/// however busy it is.
/// </summary>
internal static class DirectoryWatch
{
    /// <summary>How many directories have waiters.</summary>
    public static int Count => HostSystem.UsesLinux ? InotifyDirectories.Count : 0;

    /// <summary>Calls the waiter once, at the next change in a directory.</summary>
    /// <returns>
    /// <see langword="false"/> if the system cannot report changes, or <c>OTTO_PLATFORM=portable</c> is set. The caller
    /// then polls.
    /// </returns>
    public static bool Arm(string directory, IDirectoryWaiter waiter) => HostSystem.UsesLinux && InotifyDirectories.Arm(directory, waiter);

    /// <summary>Takes a waiter out everywhere.</summary>
    public static void Forget(IDirectoryWaiter waiter)
    {
        if (HostSystem.UsesLinux) InotifyDirectories.Forget(waiter);
    }
}
