using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

/// <summary>What a blocked thread sleeps on beside a pipe, so that another thread can wake it.</summary>
internal sealed unsafe class WakeEvent : IDisposable
{
    private int _fd;

    public WakeEvent()
    {
        _fd = Libc.EventDescriptor(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        if (_fd < 0) throw Libc.Failure("eventfd", "an event");
    }

    /// <summary>Ends the present or next <see cref="Wait"/>.</summary>
    public void Set()
    {
        ulong one = 1;
        _ = Libc.Write(_fd, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Takes back what <see cref="Set"/> did.</summary>
    public void Clear()
    {
        ulong count;
        _ = Libc.Read(_fd, (byte*)&count, sizeof(ulong));
    }

    /// <summary>Sleeps until this is set, a pipe is ready, or the time is over.</summary>
    /// <param name="id">The pipe, or -1.</param>
    /// <param name="events">What it should be ready for.</param>
    /// <param name="milliseconds">How long; -1 to wait indefinitely. May return early.</param>
    public void Wait(int id, PollEvents events, int milliseconds) =>
        PipeCalls.Poll([new() { Descriptor = _fd, Events = (short)PollEvents.Readable }, new() { Descriptor = id, Events = (short)events }],
            milliseconds);

    public void Dispose()
    {
        if (_fd >= 0) _ = Libc.Close(_fd);
        _fd = -1;
    }
}
