using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// What epoll tells, as numbers and not as structs: struct epoll_event is packed on x64 and not on arm64, so only this file knows its shape.

/// <summary>A set of descriptors that one thread waits for. Adding and removing is safe on any thread.</summary>
internal sealed unsafe class Epoll : IDisposable
{
    private const int Most = 256;
    private static readonly int Stride = Abi.EpollEventBytes;
    private static readonly int TagAt = Stride - sizeof(long);
    private readonly byte[] _entries = GC.AllocateUninitializedArray<byte>(Most * 16, pinned: true);
    private int _descriptor;

    public Epoll()
    {
        _descriptor = Libc.EpollCreate(Libc.EPOLL_CLOEXEC);
        if (_descriptor < 0) throw Libc.Failure("epoll_create1", "a new set");
    }

    /// <summary>The set itself, which is readable while <see cref="Wait"/> has something to tell.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Begins to watch a descriptor.</summary>
    /// <param name="fd">Which one.</param>
    /// <param name="events">For what.</param>
    /// <param name="tag">What comes back with its events.</param>
    public void Add(int fd, uint events, long tag) => Control(Libc.EPOLL_CTL_ADD, fd, events, tag);

    /// <summary>Changes what a descriptor is watched for.</summary>
    public void Change(int fd, uint events, long tag) => Control(Libc.EPOLL_CTL_MOD, fd, events, tag);

    /// <summary>Ends watching a descriptor; closing it does the same.</summary>
    public void Remove(int fd)
    {
        byte* unused = stackalloc byte[16];
        _ = Libc.EpollControl(_descriptor, Libc.EPOLL_CTL_DEL, fd, unused);
    }

    /// <summary>Sleeps until something happens.</summary>
    /// <param name="milliseconds">At most this long; -1 to wait indefinitely.</param>
    /// <returns>How many events there are; none where the time ran out or a signal came.</returns>
    public int Wait(int milliseconds)
    {
        fixed (byte* entries = _entries)
        {
            int count = Libc.EpollWait(_descriptor, entries, Most, milliseconds);
            if (count >= 0) return count;
        }

        return Marshal.GetLastPInvokeError() == Libc.EINTR ? 0 : throw Libc.Failure("epoll_wait", $"descriptor {_descriptor}");
    }

    /// <summary>What happened to a descriptor, of those that the last <see cref="Wait"/> told of.</summary>
    public (uint Events, long Tag) this[int index]
    {
        get
        {
            ReadOnlySpan<byte> entry = _entries.AsSpan(index * Stride, Stride);
            return (MemoryMarshal.Read<uint>(entry), MemoryMarshal.Read<long>(entry[TagAt..]));
        }
    }

    public void Dispose()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0) _ = Libc.Close(descriptor);
    }

    private void Control(int operation, int fd, uint events, long tag)
    {
        byte* entry = stackalloc byte[16];
        *(uint*)entry = events;
        *(long*)(entry + TagAt) = tag;
        if (Libc.EpollControl(_descriptor, operation, fd, entry) != 0) throw Libc.Failure("epoll_ctl", $"descriptor {fd}");
    }
}
