using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

/// <summary>
/// Waits for a file to be written by calls, replaced or removed. It cannot know of stores through a mapping, so callers
/// also look now and then.
/// </summary>
internal static class FileWatch
{
    /// <summary>Begins to watch.</summary>
    /// <returns>
    /// <see langword="null"/> if the system cannot report changes, or <c>OTTO_PLATFORM=portable</c> is set. The caller
    /// then polls.
    /// </returns>
    public static IFileWatch? TryOpen(string path, CancellationToken cancellationToken) =>
        HostSystem.UsesLinux ? InotifyFileWatch.TryOpen(path, cancellationToken) : null;

    /// <summary>
    /// Sleeps until something happened, or the time is over, and watches whatever the path leads to by then; without a
    /// watch, until the time is over.
    /// </summary>
    public static void Sleep(IFileWatch? watch, TimeSpan atMost, CancellationToken cancellationToken)
    {
        if (watch is null)
        {
            cancellationToken.WaitHandle.WaitOne(atMost);
            return;
        }

        watch.Wait(atMost);
        watch.Arm();
    }
}
