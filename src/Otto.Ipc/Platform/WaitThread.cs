using System.Collections.Concurrent;

namespace Otto.Ipc.Platform;

// Waiting holds no thread of the caller: one thread of the process sleeps for all sockets, and continues what no caller is there to do.

/// <summary>The thread that waits for descriptors, made when it is first needed.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001:Types that own disposable fields should be disposable",
    Justification = "It lives as long as the process.")]
internal sealed class WaitThread
{
    private static readonly Lock Making = new();
    private static volatile WaitThread? s_shared;

    private readonly ReadinessPoller _poller = new(canWake: true);
    private readonly ConcurrentDictionary<long, IWaitHandler> _handlers = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<IWaitHandler, long> _due = [];
    private long _tags;

    private WaitThread() => new Thread(Run) { IsBackground = true, Name = "otto waits" }.Start();

    /// <summary>
    /// Gets the wait thread of this process. If it could not be created, for example because there is no free
    /// descriptor, the next caller tries again.
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
    /// <returns>What names it until <see cref="Unregister"/>.</returns>
    public static long Register(int id, IWaitHandler handler)
    {
        WaitThread thread = Shared;
        long tag = Interlocked.Increment(ref thread._tags);
        thread._handlers[tag] = handler;
        try
        {
            thread._poller.Add(id, PollEvents.OneShot, tag);
        }
        catch
        {
            thread._handlers.TryRemove(tag, out _);
            throw;
        }

        return tag;
    }

    /// <summary>Arms a descriptor for the next event, and for its peer's going.</summary>
    public static void Arm(int id, long tag, PollEvents events) => Shared._poller.Change(id, events | PollEvents.OneShot, tag);

    /// <summary>Ends it, before the descriptor is closed.</summary>
    public static void Unregister(int id, long tag)
    {
        Shared._poller.Remove(id);
        Shared._handlers.TryRemove(tag, out _);
    }

    /// <summary>Comes by after a while; where it was to come by anyway, at the earlier time.</summary>
    public static void CallAfter(IWaitHandler handler, int milliseconds)
    {
        WaitThread thread = Shared;
        lock (thread._gate)
        {
            long due = Environment.TickCount64 + milliseconds;
            if (thread._due.TryGetValue(handler, out long before) && before <= due) return;
            thread._due[handler] = due;
        }

        thread._poller.Wake();
    }

    private void Run()
    {
        while (true)
        {
            int events = _poller.Wait(UntilDue());
            for (int i = 0; i < events; i++)
            {
                long tag = _poller[i].Tag;
                if (tag == ReadinessPoller.WakeTag) _poller.ClearWake();
                else if (_handlers.TryGetValue(tag, out IWaitHandler? handler)) RunGuarded(handler, static handler => handler.OnReady());
            }

            RunDue();
        }
    }

    private int UntilDue()
    {
        lock (_gate) return _due.Count == 0 ? -1 : (int)Math.Max(0, _due.Values.Min() - Environment.TickCount64);
    }

    private void RunDue()
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
            RunGuarded(handler, static handler =>
            {
                if (handler.OnTime() is > 0 and int milliseconds) CallAfter(handler, milliseconds);
            });
        }
    }

    /// <summary>What fails is one end's; the thread serves all handlers.</summary>
    private static void RunGuarded(IWaitHandler handler, Action<IWaitHandler> act)
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
