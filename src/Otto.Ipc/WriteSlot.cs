using Otto.Ipc.Transports;

namespace Otto.Ipc;

// Room for one message inside the transport's own memory, so that a producer writes where the consumer will read.

/// <summary>
/// Room for one message, to be written in place and then committed; disposing an uncommitted slot sends nothing.
/// </summary>
/// <remarks>
/// Belongs to the thread that reserved it. Its bytes are not cleared: write all that you commit.
/// Copies are the same slot (a <see langword="using"/> makes one), so its owner, not the
/// struct, knows whether it is still open.
/// </remarks>
public readonly ref struct WriteSlot
{
    private readonly IWriteSlotOwner? _owner;
    private readonly SlotToken _token;

    /// <summary>For transports: a slot over <paramref name="bytes"/>.</summary>
    /// <param name="owner">The owner, notified of the commit.</param>
    /// <param name="token">What the owner needs to find the slot again, never the same twice.</param>
    /// <param name="bytes">The room.</param>
    public WriteSlot(IWriteSlotOwner owner, scoped in SlotToken token, Span<byte> bytes)
    {
        _owner = owner;
        _token = token;
        Bytes = bytes;
    }

    /// <summary>The room, as long as was reserved. Do not use it after commit or dispose.</summary>
    public Span<byte> Bytes { get; }

    /// <summary>Publishes the first <paramref name="bytes"/> bytes as one message.</summary>
    /// <param name="bytes">How many bytes were written, 0 to the length of <see cref="Bytes"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">More bytes than were reserved; the slot stays open.</exception>
    /// <exception cref="InvalidOperationException">The slot was committed or disposed already.</exception>
    public void Commit(int bytes)
    {
        if ((uint)bytes > (uint)Bytes.Length)
            throw new ArgumentOutOfRangeException(nameof(bytes),
                $"commit of {bytes:N0} bytes exceeds the {Bytes.Length:N0} that were reserved");
        if (_owner is null || !_owner.Commit(_token, bytes))
            throw new InvalidOperationException("this slot was committed or disposed already");
    }

    /// <summary>Gives the room back unsent, unless it was committed.</summary>
    public void Dispose() => _owner?.Abort(_token);
}
