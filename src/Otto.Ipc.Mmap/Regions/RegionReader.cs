using System.Buffers.Binary;
using System.Diagnostics;

namespace Otto.Ipc.Mmap.Regions;

// Reads a whole value without a lock, beside writers that run, stand still or died. docs/layouts.md says which bytes are the truth when.

internal static class RegionReader
{
    private const int OvertakenBeforeSlot = 16;
    private const int OvertakenAtMost = 100_000;

    private enum Outcome
    {
        Read,
        Overtaken,
        Damaged,
    }

    /// <summary>Reads and checks the region's text. Returns <see langword="null"/> if there is no region.</summary>
    /// <param name="path">Where.</param>
    /// <param name="settleTime">How long to repeat the read while the bytes fail a check.</param>
    /// <param name="known">A text that was checked before: returned itself where it still is the text.</param>
    /// <exception cref="CorruptSegmentException">The bytes fail a check, and still did
    /// after the settle time.</exception>
    public static byte[]? Read(string path, TimeSpan settleTime, byte[]? known = null)
    {
        long start = Stopwatch.GetTimestamp();
        for (int overtaken = 0; overtaken < OvertakenAtMost;)
        {
            // Opened anew each time: what looks damaged may have been replaced or cut short meanwhile.
            using RegionFile? file = RegionFile.TryOpen(path, forWriting: false);
            if (file is null) return null;
            Outcome outcome = TryRead(file, overtaken >= OvertakenBeforeSlot, out byte[] text, out string? problem);
            if (outcome == Outcome.Read && known is not null && text.AsSpan().SequenceEqual(known)) return known;
            if (outcome == Outcome.Read && (problem = RegionJson.Problem(text)) is null) return text;
            if (outcome == Outcome.Overtaken)
            {
                overtaken++;
                Thread.Yield();
                continue;
            }

            if (Stopwatch.GetElapsedTime(start) >= settleTime) throw Corrupt(path, problem);
            Thread.Sleep(1);
        }

        throw new IOException($"the region {path} was written {OvertakenAtMost} times during one read; try again");
    }

    public static CorruptSegmentException Corrupt(string path, string? problem) =>
        new($"the region {path} is damaged: {problem}; remove the file, or write it again with the program that wrote it");

    /// <summary>Reads the trailer of a file.</summary>
    /// <returns>Null without a problem where there is none.</returns>
    public static RegionTrailer? Trailer(RegionFile file, out string? problem)
    {
        problem = null;
        long offset = RegionLayout.TrailerOffset(file.Size);
        if (offset < RegionLayout.LengthBytes) return null;
        Span<byte> bytes = stackalloc byte[RegionLayout.TrailerBytes];
        if (file.TryRead(offset, bytes)) return RegionTrailer.Parse(bytes, file.Size, out problem);
        problem = $"the file was cut short from {file.Size} bytes while it was read";
        return null;
    }

    /// <summary>A slot's value, if it is whole and of this generation.</summary>
    public static byte[]? Slot(RegionFile file, RegionTrailer trailer, ulong generation)
    {
        long at = trailer.SlotAt(generation);
        Span<byte> bytes = stackalloc byte[RegionLayout.SlotHeaderBytes];
        if (!file.TryRead(at, bytes)) return null;
        RegionSlotHeader header = RegionSlotHeader.Parse(bytes);
        if (header.Generation != generation || header.Length > trailer.SlotCapacity) return null;
        byte[] value = new byte[header.Length];
        return file.TryRead(at + RegionLayout.SlotHeaderBytes, value) && RegionSlotHeader.For(generation, value) == header ? value : null;
    }

    public static string SlotProblem(RegionTrailer trailer) =>
        $"generation {trailer.State.Generation} is committed, but slot {trailer.State.Generation & 1} at "
        + $"{trailer.SlotAt(trailer.State.Generation)} does not hold it";

    /// <summary>Whether the front can be a copy of <paramref name="next"/> over <paramref name="last"/>,
    /// done to any part: then it is our writers', else a foreign program's.</summary>
    /// <remarks>Byte by byte, in no order: a reader beside a copying writer may be behind
    /// it in one place and ahead of it in another.</remarks>
    public static bool FrontIsOurs(RegionFile file, RegionTrailer trailer, byte[]? last, byte[]? next)
    {
        byte[] front = new byte[RegionLayout.LengthBytes + Math.Max(last?.Length ?? 0, next?.Length ?? 0)];
        if (!file.TryRead(0, front)) return true;

        // A slot is gone: a foreign program's value lies over it, and then the length says so; or it was damaged, and nothing tells.
        if (last is null || next is null) return trailer.LeavesRoomFor(BinaryPrimitives.ReadUInt32LittleEndian(front));

        Span<byte> lengths = stackalloc byte[2 * RegionLayout.LengthBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(lengths, (uint)last.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(lengths[RegionLayout.LengthBytes..], (uint)next.Length);
        for (int i = 0; i < RegionLayout.LengthBytes; i++)
            if (front[i] != lengths[i] && front[i] != lengths[RegionLayout.LengthBytes + i])
                return false;
        for (int i = 0; i < last.Length; i++)
        {
            // Past the end of the old text anything may stand; past the end of the new one our copy changes nothing.
            byte found = front[RegionLayout.LengthBytes + i];
            if (found != last[i] && (i >= next.Length || found != next[i])) return false;
        }

        return true;
    }

    private static Outcome TryRead(RegionFile file, bool slotSuffices, out byte[] text, out string? problem)
    {
        text = [];
        RegionTrailer? before = Trailer(file, out problem);
        if (problem is not null) return Outcome.Damaged;

        // Pairs with the barriers in RegionWriter: what the state promises must be read after the state, and before it is read again.
        Interlocked.MemoryBarrier();
        if (before is { State.IsCommitted: true } committed) return TryReadCommitted(file, committed, slotSuffices, ref text, out problem);

        if (file.ReadFront(out problem) is not { } front) return Outcome.Damaged;
        if (before is { } settled && settled.LeavesRoomFor(front.Length))
        {
            text = OrEmptyObject(front);
            return Unchanged(file, settled) ? Outcome.Read : Outcome.Overtaken;
        }

        // No trailer, or one that a foreign program's long value lies over: nothing tells of a write in progress but the bytes themselves.
        if (file.ReadFront(out problem) is not { } again) return Outcome.Damaged;
        if (!front.AsSpan().SequenceEqual(again)) return Outcome.Overtaken;
        text = OrEmptyObject(front);
        return Trailer(file, out problem)?.State == before?.State ? Outcome.Read : Outcome.Overtaken;
    }

    private static Outcome TryReadCommitted(RegionFile file, RegionTrailer trailer, bool slotSuffices, ref byte[] text, out string? problem)
    {
        problem = null;
        ulong generation = trailer.State.Generation;
        byte[]? next = Slot(file, trailer, generation);
        if (next is not null && slotSuffices)
        {
            text = next;
            return Outcome.Read;
        }

        bool ours = FrontIsOurs(file, trailer, Slot(file, trailer, generation - 1), next);
        byte[]? foreign = ours ? null : file.ReadFront(out problem);
        if (!Unchanged(file, trailer)) return Outcome.Overtaken;
        if (ours && next is null) problem = SlotProblem(trailer);
        if (problem is not null) return Outcome.Damaged;
        text = OrEmptyObject((ours ? next : foreign)!);
        return Outcome.Read;
    }

    private static bool Unchanged(RegionFile file, RegionTrailer trailer)
    {
        // Pairs with the barrier before each change of state in RegionWriter: bytes read above must not be newer than the state read here.
        Interlocked.MemoryBarrier();
        return Trailer(file, out _)?.State == trailer.State;
    }

    private static byte[] OrEmptyObject(byte[] text) => text.Length == 0 ? "{}"u8.ToArray() : text;
}
