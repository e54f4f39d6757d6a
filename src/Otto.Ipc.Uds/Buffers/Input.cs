using System.Buffers;
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

    private byte[]? _kept;
    private int _start;
    private int _end;

    public readonly ReadOnlySpan<byte> Kept => _kept.AsSpan(_start, _end - _start);

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
        if (_kept is not null && _kept.Length - _end < LeastRoom && !TryMakeRoom(KeptBytes + LeastRoom, budget)) return Received.NoRoom;
        byte[] buffer = _kept ?? shared;
        int at = _kept is null ? 0 : _end;
        // Where memory is short no more is taken than could be kept in any case.
        int most = _kept is null && budget.IsUnderPressure ? Free - LeastRoom : buffer.Length - at;
        SocketResult result = socket.Receive(buffer.AsSpan(at, most), out int received);
        if (result == SocketResult.WouldBlock) return Received.Nothing;
        // The end, or a client that closed with answers unread; what it had sent was received before.
        if (result == SocketResult.Ended) return Received.End;
        if (_kept is not null) _end += received;
        data = _kept is null ? shared.AsSpan(0, received) : Kept;
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

        if (_kept is not null)
        {
            _start = _end - rest.Length;
            return true;
        }

        if (!TryRent(rest.Length + LeastRoom, budget, out byte[] buffer)) return false;
        rest.CopyTo(buffer);
        _kept = buffer;
        _start = 0;
        _end = rest.Length;
        return true;
    }

    public void Release(MemoryBudget budget)
    {
        if (_kept is null) return;
        budget.Give(_kept.Length);
        ArrayPool<byte>.Shared.Return(_kept);
        _kept = null;
        _start = _end = 0;
    }

    private bool TryMakeRoom(int bytes, MemoryBudget budget)
    {
        if (bytes <= _kept!.Length && _start > 0)
        {
            Kept.CopyTo(_kept);
            _end -= _start;
            _start = 0;
            return true;
        }

        if (!TryRent(Math.Max(bytes, KeptBytes * 2), budget, out byte[] larger))
        {
            Release(budget);
            return false;
        }

        Kept.CopyTo(larger);
        int kept = KeptBytes;
        Release(budget);
        _kept = larger;
        _end = kept;
        return true;
    }

    private static bool TryRent(int bytes, MemoryBudget budget, out byte[] buffer)
    {
        buffer = [];
        if (bytes > Free && !budget.HasRoomFor(bytes)) return false;
        buffer = ArrayPool<byte>.Shared.Rent(bytes);
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
