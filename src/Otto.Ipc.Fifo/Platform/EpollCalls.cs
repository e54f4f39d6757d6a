using System.Runtime.InteropServices;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Platform;

// epoll and eventfd. The kernel's event record is packed on x64 only, so it is read and written by offset.
//
//  x64     0        4                12
//          +--------+----------------+
//          | events | key            |
//  arm64   0        4        8                16
//          +--------+--------+----------------+
//          | events | unused | key            |

internal static unsafe partial class EpollCalls
{
    public const uint EPOLLIN = 1, EPOLLOUT = 4, EPOLLONESHOT = 1u << 30, EPOLLET = 1u << 31;

    /// <summary>How many events are asked for at once.</summary>
    public const int MaxEvents = 64;

    private const int Add = 1, Delete = 2, Modify = 3;
    private static readonly int KeyOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int EventBytes = KeyOffset + sizeof(long);

    public static int Create()
    {
        int fd = EpollCreate(Libc.O_CLOEXEC);
        return fd >= 0 ? fd : throw Libc.Failure("epoll_create1", "an epoll instance");
    }

    /// <summary>Makes a counter that wakes whoever polls it.</summary>
    public static int CreateEvent()
    {
        int fd = EventFd(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        return fd >= 0 ? fd : throw Libc.Failure("eventfd", "an event");
    }

    /// <summary>Starts, or goes on, looking at a descriptor.</summary>
    public static void Watch(int epoll, int fd, uint events, long key, bool first)
    {
        byte* record = stackalloc byte[16];
        *(uint*)record = events;
        *(long*)(record + KeyOffset) = key;
        if (Control(epoll, first ? Add : Modify, fd, record) != 0) throw Libc.Failure("epoll_ctl", $"descriptor {fd}");
    }

    public static void Forget(int epoll, int fd)
    {
        byte* record = stackalloc byte[16];
        _ = Control(epoll, Delete, fd, record);
    }

    /// <summary>Waits for events.</summary>
    /// <param name="epoll">The instance.</param>
    /// <param name="keys">Receives the keys of what is ready; at most <see cref="MaxEvents"/>.</param>
    /// <param name="milliseconds">How long; -1 for ever. May return early.</param>
    /// <returns>How many keys there are.</returns>
    public static int Wait(int epoll, Span<long> keys, int milliseconds)
    {
        byte* records = stackalloc byte[16 * MaxEvents];
        int count = EpollWait(epoll, records, Math.Min(keys.Length, MaxEvents), milliseconds);
        for (int i = 0; i < count; i++) keys[i] = *(long*)(records + i * EventBytes + KeyOffset);
        return Math.Max(count, 0);
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int Control(int epoll, int operation, int fd, byte* record);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWait(int epoll, byte* records, int count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventFd(uint initial, int flags);
}
