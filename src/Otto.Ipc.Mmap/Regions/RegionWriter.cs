using System.Buffers.Binary;

namespace Otto.Ipc.Mmap.Regions;

// Changes a region under its lock, in the steps of docs/layouts.md, so that a death after any of them leaves the old value or the new one.

internal static class RegionWriter
{
    /// <summary>For tests: asked before each step; false leaves the step out. Null, the
    /// rule, costs one comparison a step.</summary>
    internal static Func<RegionWriteStep, bool>? BeforeStep { get; set; }

    /// <summary>Replaces the region's text by what <paramref name="change"/> makes of it.</summary>
    /// <param name="file">The region, locked.</param>
    /// <param name="change">Given the text, returns the new one, or null to leave it.</param>
    /// <returns><see langword="true"/> if the text was changed; otherwise, <see langword="false"/>.</returns>
    public static bool Update(RegionFile file, Func<byte[], byte[]?> change)
    {
        byte[] last = Current(file, out RegionTrailer? trailer);
        byte[] text = last.Length == 0 ? "{}"u8.ToArray() : last;
        if (RegionJson.Problem(text) is { } problem) throw RegionReader.Corrupt(file.Path, problem);
        byte[]? next = change(text);
        if (next is null || next.AsSpan().SequenceEqual(last)) return false;
        if (RegionJson.Problem(next) is { } refused) throw new ArgumentException($"the value cannot be stored: {refused}");

        long limit = trailer?.Limit ?? Math.Min(file.Size - RegionLayout.LengthBytes, RegionLayout.MaxValueBytes);
        if (next.Length > limit)
        {
            throw new RegionFullException(
                $"the region {file.Path} would need {next.Length:N0} bytes, it has {limit:N0}; nothing was changed. Its size was fixed "
                + $"when it was created: store less, or create a larger one", next.Length, limit);
        }

        file.EnsureAllocated();
        trailer ??= Adopt(file, last, next);
        if (trailer is { } present && present.LeavesRoomFor(last.Length) && last.Length <= present.SlotCapacity
            && next.Length <= present.SlotCapacity) Replace(file, present, last, next);
        else WriteUnprotected(file, trailer, last, next);
        _ = Do(RegionWriteStep.Unlock);
        return true;
    }

    /// <summary>Brings the front up to a committed slot that a dead writer left, if the lock is free. Every caller
    /// that opens a region calls it.</summary>
    /// <returns><see langword="true"/> if there is a region; otherwise, <see langword="false"/>.</returns>
    public static bool FinishDeadWriter(string path)
    {
        using RegionFile? file = RegionFile.TryOpen(path, forWriting: false);
        if (file is null) return false;
        if (!file.IsWritable || RegionReader.Trailer(file, out _) is not { State.IsCommitted: true }) return true;

        // Not had: its holder is at work and will settle it, or is stopped, and readers use the slot.
        if (!RegionLock.TryAcquire(file)) return true;
        try
        {
            file.Refresh();
            if (RegionReader.Trailer(file, out _) is { State.IsCommitted: true } trailer) Finish(file, trailer);
        }
        finally
        {
            RegionLock.Release(file);
        }

        return true;
    }

    // The text that counts, after a dead writer's work is finished, and the trailer if there is one to write by.
    private static byte[] Current(RegionFile file, out RegionTrailer? trailer)
    {
        trailer = RegionReader.Trailer(file, out string? problem);
        if (problem is not null) throw RegionReader.Corrupt(file.Path, problem);
        if (trailer is { State.IsCommitted: true } committed) trailer = Finish(file, committed);
        return file.ReadFront(out problem) ?? throw RegionReader.Corrupt(file.Path, problem);
    }

    private static RegionTrailer Finish(RegionFile file, RegionTrailer trailer)
    {
        ulong generation = trailer.State.Generation;
        byte[]? next = RegionReader.Slot(file, trailer, generation);
        if (RegionReader.FrontIsOurs(file, trailer, RegionReader.Slot(file, trailer, generation - 1), next))
        {
            if (next is null) throw RegionReader.Corrupt(file.Path, RegionReader.SlotProblem(trailer));
            file.EnsureAllocated();
            file.Write(0, Front(next));
        }

        return SetState(file, trailer, RegionState.Settled(generation));
    }

    private static void Replace(RegionFile file, RegionTrailer trailer, byte[] last, byte[] next)
    {
        ulong generation = trailer.State.Generation;
        if (!SlotHolds(file, trailer, generation, last))
        {
            // A foreign program wrote the front: its value becomes a generation of its own, so that a
            // half-done copy over it can be told from a further foreign write.
            if (Do(RegionWriteStep.SaveForeignValue)) WriteSlot(file, trailer, ++generation, last);
            trailer = SetState(file, trailer, RegionState.Settled(generation));
        }

        WriteSlot(file, trailer, ++generation, next);
        if (Do(RegionWriteStep.Commit)) trailer = SetState(file, trailer, RegionState.Committed(generation));
        WriteFront(file, next);
        if (Do(RegionWriteStep.Settle)) SetState(file, trailer, RegionState.Settled(generation));
    }

    private static void WriteSlot(RegionFile file, RegionTrailer trailer, ulong generation, byte[] value)
    {
        long at = trailer.SlotAt(generation);
        if (Do(RegionWriteStep.WriteRedo)) file.Write(at + RegionLayout.SlotHeaderBytes, value);
        Span<byte> header = stackalloc byte[RegionLayout.SlotHeaderBytes];
        RegionSlotHeader.For(generation, value).Write(header);
        if (Do(RegionWriteStep.WriteRedoHeader)) file.Write(at, header);
    }

    // In two halves when a test watches, so that a death between them is real; else in one call, which
    // foreign readers hardly ever see by half.
    private static void WriteFront(RegionFile file, byte[] text)
    {
        byte[] front = Front(text);
        int half = BeforeStep is null ? front.Length : RegionLayout.LengthBytes + text.Length / 2;
        if (Do(RegionWriteStep.BeginFront)) file.Write(0, front.AsSpan(0, half));
        if (half < front.Length && Do(RegionWriteStep.EndFront)) file.Write(half, front.AsSpan(half));
    }

    private static RegionTrailer SetState(RegionFile file, RegionTrailer trailer, RegionState state)
    {
        Span<byte> bytes = stackalloc byte[RegionLayout.StateBytes];
        state.Write(bytes);

        // Both pair with the barriers in RegionReader.TryRead: what was written before the state must be visible before it, or a reader
        // believes a half-written slot; what is written after it must not be visible earlier, or a reader
        // takes a half-written front for settled.
        Interlocked.MemoryBarrier();
        file.Write(trailer.Offset + RegionLayout.StateOffset, bytes);
        Interlocked.MemoryBarrier();
        return trailer.With(state);
    }

    // Puts a trailer into a foreign file, where its last bytes are unused and the slots are large enough.
    private static RegionTrailer? Adopt(RegionFile file, byte[] last, byte[] next)
    {
        if (RegionLayout.ForForeign(file.Size) is not { } trailer) return null;
        if (last.Length > trailer.SlotCapacity || next.Length > trailer.SlotCapacity) return null;
        Span<byte> bytes = stackalloc byte[RegionLayout.TrailerBytes];
        if (!file.TryRead(trailer.Offset, bytes) || bytes.ContainsAnyExcept((byte)0)) return null;
        trailer.Write(bytes);
        file.Write(trailer.Offset, bytes);
        return trailer;
    }

    private static void WriteUnprotected(RegionFile file, RegionTrailer? trailer, byte[] last, byte[] next)
    {
        // Tell readers that their front is no longer the one they began with; not where the front itself lies over the trailer.
        if (trailer is { } present && RegionLayout.LengthBytes + last.Length <= present.Offset)
            SetState(file, present, RegionState.Settled(present.State.Generation + 1));
        file.Write(0, Front(next));
    }

    private static bool SlotHolds(RegionFile file, RegionTrailer trailer, ulong generation, byte[] value)
    {
        Span<byte> header = stackalloc byte[RegionLayout.SlotHeaderBytes];
        return file.TryRead(trailer.SlotAt(generation), header)
            && RegionSlotHeader.Parse(header) == RegionSlotHeader.For(generation, value);
    }

    private static byte[] Front(byte[] text)
    {
        byte[] front = new byte[RegionLayout.LengthBytes + text.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(front, (uint)text.Length);
        text.CopyTo(front, RegionLayout.LengthBytes);
        return front;
    }

    private static bool Do(RegionWriteStep step) => BeforeStep is not { } ask || ask(step);
}
