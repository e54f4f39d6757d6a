using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Linux;

// One inotify instance and one thread for the whole process, since a user has 128 instances. A watch is for one event: whoever still waits
// asks again, so a directory in which nobody waits costs nothing, however busy it is.

internal static unsafe class InotifyDirectories
{
    private const int BufferBytes = 16 * 1024;
    private const uint Events =
        Libc.IN_MODIFY | Libc.IN_CLOSE_WRITE | Libc.IN_MOVED_FROM | Libc.IN_MOVED_TO | Libc.IN_CREATE | Libc.IN_DELETE
        | Libc.IN_DELETE_SELF | Libc.IN_MOVE_SELF | Libc.IN_ONLYDIR | Libc.IN_DONT_FOLLOW | Libc.IN_ONESHOT;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<int, List<IDirectoryWaiter>> Waiters = [];
    private static readonly SafeFileHandle? Inotify = Start();

    /// <summary>How many watches have waiters.</summary>
    public static int Count
    {
        get
        {
            lock (Gate) return Waiters.Count;
        }
    }

    /// <summary>Calls the waiter once, at the next change in a directory.</summary>
    /// <returns>
    /// <see langword="true"/> if the kernel reports the change; <see langword="false"/> if it cannot, so that the
    /// caller must poll.
    /// </returns>
    public static bool Arm(string directory, IDirectoryWaiter waiter)
    {
        if (Inotify is null) return false;
        lock (Gate)
        {
            // Under the lock: an event of this watch must not be looked up before the waiter is entered.
            int watch = Libc.InotifyAddWatch(Inotify, directory, Events);
            if (watch < 0) return false;
            if (!Waiters.TryGetValue(watch, out List<IDirectoryWaiter>? waiters)) Waiters[watch] = waiters = [];
            if (!waiters.Contains(waiter)) waiters.Add(waiter);
            return true;
        }
    }

    /// <summary>Takes a waiter out everywhere.</summary>
    public static void Forget(IDirectoryWaiter waiter)
    {
        lock (Gate)
        {
            foreach ((int watch, List<IDirectoryWaiter> waiters) in Waiters.Where(entry => entry.Value.Contains(waiter)).ToArray())
            {
                waiters.Remove(waiter);
                if (waiters.Count > 0) continue;
                Waiters.Remove(watch);
                // Fails where its event has just come; then it is gone already.
                _ = Libc.InotifyRemoveWatch(Inotify!, watch);
            }
        }
    }

    private static SafeFileHandle? Start()
    {
        int fd = Libc.InotifyInit(Libc.IN_CLOEXEC);
        if (fd < 0) return null;
        new Thread(Listen) { IsBackground = true, Name = "otto directories" }.Start();
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    private static void Listen()
    {
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(BufferBytes, 8);
        while (true)
        {
            nint bytes = Libc.Read(Inotify!, buffer, BufferBytes);
            if (bytes <= 0) continue; // interrupted
            for (nint at = 0; at + sizeof(Libc.WatchEvent) <= bytes;)
            {
                Libc.WatchEvent read = *(Libc.WatchEvent*)(buffer + at);
                at += sizeof(Libc.WatchEvent) + (nint)read.NameBytes;
                if ((read.Mask & Libc.IN_Q_OVERFLOW) != 0) RingAll();
                else Ring(read.Watch);
            }
        }
    }

    private static void Ring(int watch)
    {
        List<IDirectoryWaiter>? waiters;
        lock (Gate) Waiters.Remove(watch, out waiters);
        if (waiters is null) return; // IN_IGNORED after its one event
        foreach (IDirectoryWaiter waiter in waiters) waiter.OnChanged();
    }

    /// <summary>Events were lost, and which is not known: every waiter checks.</summary>
    private static void RingAll()
    {
        IDirectoryWaiter[] all;
        lock (Gate) all = [.. Waiters.Values.SelectMany(waiters => waiters).Distinct()];
        foreach (IDirectoryWaiter waiter in all) waiter.OnChanged();
    }
}
