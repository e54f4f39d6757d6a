using Otto.Ipc.Transports;

namespace Otto.Ipc;

// A payload kept beyond its message: the worker completes at once, and reads on.

/// <summary>A message's bytes, kept after the message has come to its end, until this is disposed.</summary>
/// <remarks>
/// A large payload stays where it is, shared with all that hold it; a small one is a copy. Not for two threads at
/// once.
/// </remarks>
public sealed class RetainedPayload : IDisposable
{
    private readonly PayloadRetention _retention;
    private bool _disposed;

    /// <summary>For transports: keeps a payload until this is disposed.</summary>
    /// <param name="retention">The payload and its owner.</param>
    public RetainedPayload(in PayloadRetention retention) => _retention = retention;

    /// <summary>The bytes.</summary>
    /// <exception cref="ObjectDisposedException">They were released.</exception>
    public ReadOnlyMemory<byte> Payload
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _retention.Payload;
        }
    }

    /// <summary>Releases the bytes. Further calls do nothing.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _retention.Owner?.Release(_retention.Token);
    }
}
