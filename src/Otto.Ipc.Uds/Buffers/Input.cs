using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Buffers;

// What a client sent. Everything is received into one buffer that all connections share, and understood there; only the beginning of a
// command whose end has not come is copied into memory of the connection's own.

/// <summary>The bytes of one client that were not understood yet.</summary>
internal struct Input
{
    private const int LeastRoom = 2 << 10;

    // As much every connection may keep: without the first bytes of a command nobody could say where the next one begins.
    private const int Free = 8 << 10;

    private InputBuffer _kept;
    private int _start;
    private int _end;

    public readonly ReadOnlySpan<byte> Kept => _kept.IsAllocated ? _kept.Span[_start.._end] : default;

    public readonly int KeptBytes => _end - _start;

    /// <summary>Receives what there is.</summary>
    /// <param name="socket">From where.</param>
    /// <param name="shared">The buffer for connections that keep nothing.</param>
    /// <param name="budget">What all connections may keep.</param>
    /// <param name="data">What was kept, and what came behind it.</param>
    /// <returns>What came of it.</returns>
    public Received Receive(UnixSocket socket, byte[] shared, MemoryBudget budget, out ReadOnlySpan<byte> data)
    {
        data = default;
        bool keeps = _kept.IsAllocated;
        if (keeps && _kept.Length - _end < LeastRoom)
        {
            if (!TryMakeRoom(KeptBytes + LeastRoom, budget)) return Received.NoRoom;
            keeps = _kept.IsAllocated;
        }

        Span<byte> buffer = keeps ? _kept.Span : shared;
        int at = keeps ? _end : 0;
        // Where memory is short no more is taken than could be kept in any case.
        int most = !keeps && budget.IsUnderPressure ? Free - LeastRoom : buffer.Length - at;
        SocketResult result = socket.Receive(buffer.Slice(at, most), out int received);
        if (result == SocketResult.WouldBlock) return Received.Nothing;
        // The end, or a client that closed with answers unread; what it had sent was received before.
        if (result == SocketResult.Ended) return Received.End;
        if (keeps) _end += received;
        data = keeps ? Kept : shared.AsSpan(0, received);
        return Received.Bytes;
    }

    /// <summary>Keeps what is left of what <see cref="Receive"/> or <see cref="Kept"/> showed.</summary>
    /// <param name="rest">The end of it.</param>
    /// <param name="budget">What all connections may keep.</param>
    /// <returns>
    /// <see langword="true"/> if there is room; otherwise, <see langword="false"/>, and nothing is kept.
    /// </returns>
    public bool Keep(ReadOnlySpan<byte> rest, MemoryBudget budget)
    {
        if (rest.IsEmpty)
        {
            Release(budget);
            return true;
        }

        if (_kept.IsAllocated)
        {
            _start = _end - rest.Length;
            return true;
        }

        if (!TryRent(rest.Length + LeastRoom, budget, out InputBuffer buffer)) return false;
        rest.CopyTo(buffer.Span);
        _kept = buffer;
        _start = 0;
        _end = rest.Length;
        return true;
    }

    public void Release(MemoryBudget budget)
    {
        if (!_kept.IsAllocated) return;
        budget.Give(_kept.Length);
        _kept.Free();
        _kept = default;
        _start = _end = 0;
    }

    private bool TryMakeRoom(int bytes, MemoryBudget budget)
    {
        if (bytes <= _kept.Length && _start > 0)
        {
            Kept.CopyTo(_kept.Span);
            _end -= _start;
            _start = 0;
            return true;
        }

        if (!TryRent(Math.Max(bytes, KeptBytes * 2), budget, out InputBuffer larger))
        {
            Release(budget);
            return false;
        }

        Kept.CopyTo(larger.Span);
        int kept = KeptBytes;
        Release(budget);
        _kept = larger;
        _end = kept;
        return true;
    }

    private static bool TryRent(int bytes, MemoryBudget budget, out InputBuffer buffer)
    {
        buffer = default;
        if (bytes > Free && !budget.HasRoomFor(bytes)) return false;
        buffer = InputBuffer.Allocate(bytes);
        budget.Take(buffer.Length);
        return true;
    }
}

/// <summary>What came of receiving.</summary>
internal enum Received
{
    /// <summary>Bytes came.</summary>
    Bytes,

    /// <summary>Nothing is there now.</summary>
    Nothing,

    /// <summary>The client sends no more.</summary>
    End,

    /// <summary>What came before is too much to be kept beside all others; it was dropped.</summary>
    NoRoom,
}
