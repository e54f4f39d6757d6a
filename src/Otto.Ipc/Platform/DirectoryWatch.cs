using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

/// <summary>
/// Tells of changes in directories. Whoever still waits asks again, so a directory in which nobody waits costs nothing,
/// however busy it is.
/// </summary>
internal static class DirectoryWatch
{
    /// <summary>How many directories somebody waits for.</summary>
    public static int Count => HostSystem.UsesLinux ? InotifyDirectories.Count : 0;

    /// <summary>Calls the waiter once, at the next change in a directory.</summary>
    /// <returns>
    /// <see langword="false"/> if the system will not tell, or <c>OTTO_PLATFORM=portable</c>: then the caller looks by
    /// itself.
    /// </returns>
    public static bool Arm(string directory, IDirectoryWaiter waiter) => HostSystem.UsesLinux && InotifyDirectories.Arm(directory, waiter);

    /// <summary>Takes a waiter out everywhere.</summary>
    public static void Forget(IDirectoryWaiter waiter)
    {
        if (HostSystem.UsesLinux) InotifyDirectories.Forget(waiter);
    }
}
