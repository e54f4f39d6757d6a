using System.Runtime.InteropServices;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// epoll as numbers and not as structs: struct epoll_event is packed on x64 and not on arm64, so only this file knows its shape.

/// <summary>What a socket or a pipe is watched for, and what happened to it.</summary>
[Flags]
internal enum PollEvents : uint
{
    None = 0,
    Readable = 1,
    Writable = 4,

    /// <summary>Reported whether it is asked for or not.</summary>
    Error = 8,

    /// <summary>The other end has gone; reported whether it is asked for or not.</summary>
    HungUp = 0x10,

    /// <summary>After one event nothing more is reported until <see cref="ReadinessPoller.Change"/>.</summary>
    OneShot = 1u << 30,

    /// <summary>Changes are reported, not states.</summary>
    EdgeTriggered = 1u << 31,
}

/// <summary>A set of sockets and pipes that one thread waits for. Adding, removing and
/// <see cref="Wake"/> are safe on any thread.</summary>
internal sealed unsafe class ReadinessPoller : IDisposable
{
    /// <summary>The tag of the event that <see cref="Wake"/> causes.</summary>
    public const long WakeTag = -2;

    private const int Most = 256;
    private static readonly int Stride = Abi.EpollEventBytes;
    private static readonly int TagAt = Stride - sizeof(long);
    private readonly byte[] _entries = GC.AllocateUninitializedArray<byte>(Most * 16, pinned: true);
    private readonly int _wake = -1;
    private int _set;

    /// <param name="canWake">Whether <see cref="Wake"/> is going to be called.</param>
    public ReadinessPoller(bool canWake = false)
    {
        _set = Libc.EpollCreate(Libc.EPOLL_CLOEXEC);
        if (_set < 0) throw Libc.Failure("epoll_create1", "a new set");
        if (!canWake) return;
        try
        {
            _wake = Libc.EventDescriptor(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
            if (_wake < 0) throw Libc.Failure("eventfd", "the set's waker");
            Add(_wake, PollEvents.Readable, WakeTag);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The set itself, which is readable while <see cref="Wait"/> has something to report.</summary>
    public int Id => _set;

    /// <summary>Begins to watch a socket or a pipe.</summary>
    /// <param name="id">Which one.</param>
    /// <param name="events">For what.</param>
    /// <param name="tag">What comes back with its events.</param>
    public void Add(int id, PollEvents events, long tag) => Control(Libc.EPOLL_CTL_ADD, id, events, tag);

    /// <summary>Changes what it is watched for.</summary>
    public void Change(int id, PollEvents events, long tag) => Control(Libc.EPOLL_CTL_MOD, id, events, tag);

    /// <summary>Ends watching it; closing it does the same.</summary>
    public void Remove(int id)
    {
        byte* unused = stackalloc byte[16];
        _ = Libc.EpollControl(_set, Libc.EPOLL_CTL_DEL, id, unused);
    }

    /// <summary>Sleeps until something happens.</summary>
    /// <param name="milliseconds">The longest time to sleep; -1 for no limit.</param>
    /// <returns>How many events there are; none if the time ran out or a signal came.</returns>
    public int Wait(int milliseconds)
    {
        fixed (byte* entries = _entries)
        {
            int count = Libc.EpollWait(_set, entries, Most, milliseconds);
            if (count >= 0) return count;
        }

        return Marshal.GetLastPInvokeError() == Libc.EINTR ? 0 : throw Libc.Failure("epoll_wait", $"descriptor {_set}");
    }

    /// <summary>What happened, of the events that the last <see cref="Wait"/> counted.</summary>
    public (PollEvents Events, long Tag) this[int index]
    {
        get
        {
            ReadOnlySpan<byte> entry = _entries.AsSpan(index * Stride, Stride);
            return ((PollEvents)MemoryMarshal.Read<uint>(entry), MemoryMarshal.Read<long>(entry[TagAt..]));
        }
    }

    /// <summary>Ends the present or next <see cref="Wait"/>, from any thread;
    /// <see cref="ClearWake"/> makes the next one sleep again.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = Libc.Write(_wake, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Takes back what <see cref="Wake"/> did.</summary>
    public void ClearWake()
    {
        ulong count;
        _ = Libc.Read(_wake, (byte*)&count, sizeof(ulong));
    }

    public void Dispose()
    {
        int set = Interlocked.Exchange(ref _set, -1);
        if (set < 0) return;
        _ = Libc.Close(set);
        if (_wake >= 0) _ = Libc.Close(_wake);
    }

    private void Control(int operation, int id, PollEvents events, long tag)
    {
        byte* entry = stackalloc byte[16];
        *(uint*)entry = (uint)events;
        *(long*)(entry + TagAt) = tag;
        if (Libc.EpollControl(_set, operation, id, entry) != 0) throw Libc.Failure("epoll_ctl", $"descriptor {id}");
    }
}
