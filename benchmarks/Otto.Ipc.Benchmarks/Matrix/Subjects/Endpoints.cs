using System.Diagnostics;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// The least that every way of passing messages can do, so that one harness measures all of them. Waits have an end: what does not come is
// an error with a number in it, not a hang.

/// <summary>Where messages go in. For one thread.</summary>
internal abstract class Outlet : IDisposable
{
    private byte[] _buffer = [];

    /// <summary>How long a send waits for room.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>The largest message, where the end knows it.</summary>
    public virtual long? MaxMessageBytes => null;

    /// <summary>Room for the next message: a <see cref="Message"/> already, but for its
    /// number, unless something else was written there.</summary>
    public virtual Span<byte> Prepare(int bytes)
    {
        if (_buffer.Length != bytes) _buffer = Message.Create(bytes);
        return _buffer;
    }

    /// <summary>Sends what was prepared, waiting for room.</summary>
    public void Send(int bytes) => Send(_buffer, bytes);

    /// <summary>Sees to it that nothing is held back on this side.</summary>
    public virtual void Flush()
    {
    }

    /// <summary>Says that no more comes.</summary>
    public virtual void Complete() => Flush();

    public abstract void Dispose();

    protected abstract void Send(byte[] buffer, int bytes);

    protected TimeoutException NoRoom(int bytes) => new($"there was no room for {bytes:N0} bytes in {Patience.TotalSeconds:0.#} s");
}

/// <summary>Where messages come out. For one thread.</summary>
internal abstract class Inlet : IDisposable
{
    private const int LooksBetweenClocks = 1024;

    /// <summary>How long a receive waits.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>The next message.</summary>
    /// <param name="awake">Whether to look again and again instead of sleeping.</param>
    /// <returns>Its bytes, until the next call.</returns>
    /// <exception cref="TimeoutException">None came.</exception>
    /// <exception cref="EndOfStreamException">None will come.</exception>
    public ReadOnlySpan<byte> Receive(bool awake)
    {
        if (TryReceive(out ReadOnlySpan<byte> message)) return message;
        long start = Stopwatch.GetTimestamp();
        for (int looks = 0; ; looks++)
        {
            if (!awake) Sleep(Patience);
            if (TryReceive(out message)) return message;
            if ((!awake || looks % LooksBetweenClocks == 0) && Stopwatch.GetElapsedTime(start) > Patience)
                throw new TimeoutException($"no message came in {Patience.TotalSeconds:0.#} s");
        }
    }

    public abstract void Dispose();

    /// <summary>Takes a message that is there. One whose end has no such call waits here instead.</summary>
    protected abstract bool TryReceive(out ReadOnlySpan<byte> message);

    /// <summary>Sleeps until there is something, at most so long.</summary>
    protected abstract void Sleep(TimeSpan most);
}

/// <summary>Both ends of one side of a talk.</summary>
internal sealed record DuplexEndpoint(Outlet Outlet, Inlet Inlet) : IDisposable
{
    public void Dispose()
    {
        Outlet.Dispose();
        Inlet.Dispose();
    }
}
