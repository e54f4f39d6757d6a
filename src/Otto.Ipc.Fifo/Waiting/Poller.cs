using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Waiting;

// Async waiters hold no thread: one thread of the process sleeps in the kernel on all their descriptors. It only tells who asked; what
// is to be done runs there if it is short, such as writing the rest of a frame, and else on the thread pool.

/// <summary>Who is told that a descriptor is ready, or that a time has come. Comes on any thread, and may come once too often.</summary>
internal interface IReadyTarget
{
    void OnReady();
}

internal sealed class Poller
{
    private static readonly Lazy<Poller> Shared = new(() => new Poller());

    private readonly int _epoll = EpollCalls.Create();
    private readonly Lock _gate = new();
    private readonly Dictionary<long, IReadyTarget> _targets = [];
    private long _lastKey;

    private Poller() => new Thread(Run) { IsBackground = true, Name = "otto fifo waits" }.Start();

    /// <summary>Starts to look at a descriptor, and tells the target once; then again whenever it is armed.</summary>
    /// <returns>The key for <see cref="Arm"/> and <see cref="Forget"/>.</returns>
    public static long Watch(int fd, uint events, IReadyTarget target)
    {
        Poller poller = Shared.Value;
        long key;
        lock (poller._gate)
        {
            key = ++poller._lastKey;
            poller._targets.Add(key, target);
        }

        EpollCalls.Watch(poller._epoll, fd, events | EpollCalls.EPOLLONESHOT, key, first: true);
        return key;
    }

    /// <summary>Asks to be told again, once; at once where the descriptor is ready already.</summary>
    public static void Arm(int fd, uint events, long key) => EpollCalls.Watch(Shared.Value._epoll, fd, events | EpollCalls.EPOLLONESHOT, key, first: false);

    /// <summary>Stops looking. To be called before the descriptor is closed; a call that is under way may still arrive.</summary>
    public static void Forget(int fd, long key)
    {
        Poller poller = Shared.Value;
        EpollCalls.Forget(poller._epoll, fd);
        lock (poller._gate) poller._targets.Remove(key);
    }

    private void Run()
    {
        Span<long> keys = stackalloc long[EpollCalls.MaxEvents];
        while (true)
        {
            int count = EpollCalls.Wait(_epoll, keys, -1);
            foreach (long key in keys[..count])
            {
                IReadyTarget? target;
                lock (_gate) _targets.TryGetValue(key, out target);
                target?.OnReady();
            }
        }
    }
}

/// <summary>One descriptor's place with the poller, taken when it is first needed. Not for two threads at once.</summary>
internal sealed class PollerPlace(IReadyTarget target)
{
    private long _key;
    private int _fd = -1;

    public void Arm(int fd, uint events)
    {
        if (_key != 0 && _fd == fd)
        {
            Poller.Arm(fd, events, _key);
            return;
        }

        Leave();
        _fd = fd;
        _key = Poller.Watch(fd, events, target);
    }

    public void Leave()
    {
        if (_key != 0) Poller.Forget(_fd, _key);
        _key = 0;
    }
}
