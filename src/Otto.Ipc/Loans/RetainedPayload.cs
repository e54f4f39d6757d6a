namespace Otto.Ipc;

// A payload kept beyond its message: the worker completes at once, and reads on.

/// <summary>A message's bytes, kept after the message has come to its end, until this is disposed.</summary>
/// <remarks>A large payload stays where it is, shared with whoever else holds it; a small one is a copy. Not for two threads at once.</remarks>
public sealed class RetainedPayload : IDisposable
{
    private readonly ILoanOwner? _owner;
    private readonly SlotToken _token;
    private readonly ReadOnlyMemory<byte> _payload;
    private bool _disposed;

    /// <summary>For transports: keeps <paramref name="payload"/> until the owner is told.</summary>
    /// <param name="payload">The bytes.</param>
    /// <param name="owner">Who is told; <see langword="null"/> where the bytes are a copy.</param>
    /// <param name="token">What the owner needs to find them again.</param>
    public RetainedPayload(ReadOnlyMemory<byte> payload, ILoanOwner? owner = null, SlotToken token = default)
    {
        _payload = payload;
        _owner = owner;
        _token = token;
    }

    /// <summary>The bytes.</summary>
    /// <exception cref="ObjectDisposedException">They were let go.</exception>
    public ReadOnlyMemory<byte> Payload
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _payload;
        }
    }

    /// <summary>Lets the bytes go. Further calls do nothing.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _owner?.LetGo(_token);
    }
}
