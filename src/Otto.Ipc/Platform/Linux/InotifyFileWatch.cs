using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Linux;

// Sleeps in the kernel until the file is written by calls, replaced or removed. It cannot know of stores through another program's
// mapping, so the caller also looks now and then.

internal sealed class InotifyFileWatch : IFileWatch
{
    private readonly SafeFileHandle _inotify;
    private readonly string _path;
    private readonly CancellationTokenRegistration _cancellation;
    private int _watch;

    private InotifyFileWatch(SafeFileHandle inotify, string path, CancellationToken cancellationToken)
    {
        _inotify = inotify;
        _path = path;
        Arm();

        // Taking the watch away queues IN_IGNORED, which ends the poll.
        _cancellation = cancellationToken.Register(() => Libc.InotifyRemoveWatch(_inotify, Volatile.Read(ref _watch)));
    }

    /// <summary>
    /// Begins to watch. The result is <see langword="null"/> if the system has no watches left, so that the caller must
    /// poll.
    /// </summary>
    public static InotifyFileWatch? TryOpen(string path, CancellationToken cancellationToken)
    {
        int fd = Libc.InotifyInit(Libc.IN_CLOEXEC | Libc.IN_NONBLOCK);
        return fd < 0 ? null : new InotifyFileWatch(new SafeFileHandle(fd, ownsHandle: true), path, cancellationToken);
    }

    /// <summary>Watches the file that the path leads to now, which may be another than before.</summary>
    public void Arm() =>
        // Release: pairs with the read in the cancellation, which must not remove a watch of an earlier file and leave this one.
        Volatile.Write(ref _watch,
            Libc.InotifyAddWatch(_inotify, _path, Libc.IN_MODIFY | Libc.IN_ATTRIB | Libc.IN_DELETE_SELF | Libc.IN_MOVE_SELF));

    public unsafe void Wait(TimeSpan atMost)
    {
        var entry = new Libc.PollEntry { Descriptor = (int)_inotify.DangerousGetHandle(), Events = Libc.POLLIN };
        if (Libc.Poll(ref entry, 1, (int)Math.Ceiling(atMost.TotalMilliseconds)) <= 0) return;
        byte* events = stackalloc byte[4096];
        while (Libc.Read(_inotify, events, 4096) > 0)
        {
        }
    }

    public void Dispose()
    {
        _cancellation.Dispose();
        _inotify.Dispose();
    }
}
