using System.Collections.Concurrent;

namespace Otto.Ipc.Platform.Linux;

// Whoever waits holds no thread: one thread of the process sleeps in epoll for all of them, and goes on with what nobody is there to do.

/// <summary>The thread that waits for descriptors, made when it is first needed.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001:Types that own disposable fields should be disposable", Justification = "It lives as long as the process.")]
internal sealed class WaitThread
{
    private const uint OneShot = 1u << 30; // EPOLLONESHOT
    private const long WakeTag = 0;
    private static readonly Lock Making = new();
    private static volatile WaitThread? s_shared;

    private readonly Epoll _epoll = new();
    private readonly ConcurrentDictionary<long, IWaitHandler> _handlers = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<IWaitHandler, long> _due = [];
    private readonly int _wake = Libc.EventDescriptor(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
    private long _tags = WakeTag;

    private WaitThread()
    {
        if (_wake < 0)
        {
            IOException failure = Libc.Failure("eventfd", "the thread that waits for sockets");
            _epoll.Dispose();
            throw failure;
        }

        _epoll.Add(_wake, Libc.EPOLLIN, WakeTag);
        new Thread(Run) { IsBackground = true, Name = "otto waits" }.Start();
    }

    /// <summary>
    /// The one of this process. Where it could not be made, for want of descriptors say, the next who needs it tries
    /// again.
    /// </summary>
    private static WaitThread Shared
    {
        get
        {
            if (s_shared is { } made) return made;
            lock (Making) return s_shared ??= new WaitThread();
        }
    }

    /// <summary>Begins to know a descriptor, that is armed for nothing but its peer's going.</summary>
    /// <returns>What names it until <see cref="Forget"/>.</returns>
    public static long Know(int fd, IWaitHandler handler)
    {
        WaitThread shared = Shared;
        long tag = Interlocked.Increment(ref shared._tags);
        shared._handlers[tag] = handler;
        try
        {
            shared._epoll.Add(fd, OneShot, tag);
        }
        catch
        {
            shared._handlers.TryRemove(tag, out _);
            throw;
        }

        return tag;
    }

    /// <summary>Arms a descriptor for the next event, and for its peer's going.</summary>
    public static void Arm(int fd, long tag, uint events) => Shared._epoll.Change(fd, events | OneShot, tag);

    /// <summary>Ends it, before the descriptor is closed.</summary>
    public static void Forget(int fd, long tag)
    {
        Shared._epoll.Remove(fd);
        Shared._handlers.TryRemove(tag, out _);
    }

    /// <summary>Comes by after a while; where it was to come by anyway, at the earlier time.</summary>
    public static unsafe void Tick(IWaitHandler handler, int milliseconds)
    {
        WaitThread shared = Shared;
        lock (shared._gate)
        {
            long due = Environment.TickCount64 + milliseconds;
            if (shared._due.TryGetValue(handler, out long before) && before <= due) return;
            shared._due[handler] = due;
        }

        ulong one = 1;
        _ = Libc.Write(shared._wake, (byte*)&one, sizeof(ulong));
    }

    private unsafe void Run()
    {
        while (true)
        {
            int events = _epoll.Wait(UntilDue());
            for (int i = 0; i < events; i++)
            {
                long tag = _epoll[i].Tag;
                ulong count;
                if (tag == WakeTag) _ = Libc.Read(_wake, (byte*)&count, sizeof(ulong));
                else if (_handlers.TryGetValue(tag, out IWaitHandler? handler)) Guard(handler, static handler => handler.Attend());
            }

            TickDue();
        }
    }

    private int UntilDue()
    {
        lock (_gate) return _due.Count == 0 ? -1 : (int)Math.Max(0, _due.Values.Min() - Environment.TickCount64);
    }

    private void TickDue()
    {
        IWaitHandler[] due;
        long now = Environment.TickCount64;
        lock (_gate)
        {
            if (_due.Count == 0) return;
            due = [.. _due.Where(entry => entry.Value <= now).Select(entry => entry.Key)];
            // Taken out first: where it asks again while it is looked at, that counts.
            foreach (IWaitHandler handler in due) _due.Remove(handler);
        }

        foreach (IWaitHandler handler in due)
        {
            Guard(handler, static handler =>
            {
                if (handler.Tick() is > 0 and int milliseconds) Tick(handler, milliseconds);
            });
        }
    }

    /// <summary>What fails is one end's; the thread serves all handlers.</summary>
    private static void Guard(IWaitHandler handler, Action<IWaitHandler> act)
    {
        try
        {
            act(handler);
        }
        catch (Exception e)
        {
            try
            {
                handler.Fail(e as IOException ?? new IOException($"waiting for a socket failed: {e.Message}", e));
            }
            catch (Exception again) when (again is not OutOfMemoryException)
            {
                // It was told what went wrong before it failed again.
            }
        }
    }
}
