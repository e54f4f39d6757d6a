using Otto.Ipc.Transports;

namespace Otto.Ipc;

// One message, read where the transport keeps it.

/// <summary>One message in place; disposing it counts the message as read.</summary>
/// <remarks>
/// Belongs to the thread that received it, and cannot cross an <see langword="await"/>. Copies are the same lease.
/// </remarks>
public readonly ref struct ReadLease
{
    private readonly IReadLeaseOwner? _owner;
    private readonly SlotToken _token;

    /// <summary>For transports: a lease over <paramref name="bytes"/>.</summary>
    /// <param name="owner">The owner, notified when the message was read.</param>
    /// <param name="token">What the owner needs to find the message again, never the same twice.</param>
    /// <param name="bytes">The message.</param>
    public ReadLease(IReadLeaseOwner owner, scoped in SlotToken token, ReadOnlySpan<byte> bytes)
    {
        _owner = owner;
        _token = token;
        Bytes = bytes;
    }

    /// <summary>The message. Do not use it after <see cref="Dispose"/>.</summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>Counts the message as read. Further calls do nothing.</summary>
    public void Dispose() => _owner?.Release(_token);
}
