using System.Buffers.Binary;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Regions;

//  0        4              SlotOffset                                  Offset       + 40     size
//  +--------+------- - - --+----------------------+---------------------+-----------+-------- +
//  | length | JSON         | slot 0               | slot 1              | trailer   | unused  |
//  +--------+------- - - --+----------------------+---------------------+-----------+-------- +
//  docs/layouts.md, "Region", holds the field tables and says who moves the state when.

internal static class RegionLayout
{
    public const int LengthBytes = 4;
    public const int SlotHeaderBytes = 16;
    public const int TrailerBytes = 64;
    public const int StateOffset = 0x20;
    public const int StateBytes = 16;
    public const uint Version = 1;
    public const uint Foreign = 1;
    public const ulong Magic = 0x314E_4752_4F54_544F; // "OTTORGN1"

    /// <summary>No length above it is believed, so that a hostile one cannot ask for all memory.</summary>
    public const int MaxValueBytes = 256 << 20;

    private const int PageBytes = 4096;

    /// <summary>Gets the offset of the trailer in a file of this size. The offset is negative if there is no room for
    /// a trailer.</summary>
    public static long TrailerOffset(long fileSize) => (fileSize & ~(TrailerBytes - 1L)) - TrailerBytes;

    /// <summary>How long a file of ours is whose values may have this many bytes.</summary>
    public static long FileSizeFor(int capacity)
    {
        long slots = Align(LengthBytes + Align(capacity, 64), 64) + 2L * (SlotHeaderBytes + Align(capacity, 64));
        return Align(Align(slots, 64) + TrailerBytes, PageBytes);
    }

    /// <summary>The trailer of a new file of ours.</summary>
    public static RegionTrailer ForCapacity(int capacity)
    {
        long rounded = Align(capacity, 64);
        return new RegionTrailer(TrailerOffset(FileSizeFor(capacity)), 0, (uint)rounded, (uint)rounded, Align(LengthBytes + rounded, 64),
            RegionState.Settled(0));
    }

    /// <summary>Gets the trailer that a foreign file of this size can take, or <see langword="null"/> if it would
    /// leave slots too small to be of use.</summary>
    public static RegionTrailer? ForForeign(long fileSize)
    {
        long offset = TrailerOffset(fileSize);
        long capacity = Math.Min((offset - LengthBytes - 2 * SlotHeaderBytes) / 3 & ~63L, MaxValueBytes);
        if (capacity < 64 || offset > uint.MaxValue) return null;
        long limit = Math.Min(fileSize - LengthBytes, MaxValueBytes);
        return new RegionTrailer(offset, Foreign, (uint)limit, (uint)capacity, offset - 2 * (SlotHeaderBytes + capacity),
            RegionState.Settled(0));
    }

    private static long Align(long value, long to) => (value + to - 1) / to * to;
}

/// <summary>The word that indicates whether the front or a slot holds the valid text.</summary>
/// <param name="Word">generation shifted left by one, and the committed bit.</param>
internal readonly record struct RegionState(ulong Word)
{
    public ulong Generation => Word >> 1;

    public bool IsCommitted => (Word & 1) != 0;

    public static RegionState Settled(ulong generation) => new(generation << 1);

    public static RegionState Committed(ulong generation) => new(generation << 1 | 1);

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(target, Word);
        BinaryPrimitives.WriteUInt64LittleEndian(target[8..], ~Word);
    }
}

/// <summary>A trailer whose every field passed its check.</summary>
internal readonly record struct RegionTrailer(long Offset, uint Flags, uint Limit, uint SlotCapacity, long SlotOffset, RegionState State)
{
    public long SlotAt(ulong generation) => SlotOffset + (long)(generation & 1) * (RegionLayout.SlotHeaderBytes + SlotCapacity);

    public RegionTrailer With(RegionState state) => this with { State = state };

    /// <summary>Whether a front of this many bytes leaves the slots and the trailer alone.</summary>
    public bool LeavesRoomFor(long length) => RegionLayout.LengthBytes + length <= SlotOffset;

    public void Write(Span<byte> target)
    {
        target[..RegionLayout.TrailerBytes].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(target, RegionLayout.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x08..], RegionLayout.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x0C..], Flags);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x10..], Limit);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x14..], SlotCapacity);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x18..], (uint)SlotOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(target[0x1C..], Crc32C.Of(target[..0x1C]));
        State.Write(target[RegionLayout.StateOffset..]);
    }

    /// <summary>Reads a trailer from a private copy of its bytes.</summary>
    /// <returns>Null without a problem where there is no trailer; null with one where a
    /// field fails its check.</returns>
    public static RegionTrailer? Parse(ReadOnlySpan<byte> bytes, long fileSize, out string? problem)
    {
        problem = null;
        long offset = RegionLayout.TrailerOffset(fileSize);
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes) != RegionLayout.Magic) return null;

        uint crc = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x1C..]), expected = Crc32C.Of(bytes[..0x1C]);
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x08..]);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x0C..]);
        uint limit = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x10..]);
        uint slotCapacity = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x14..]);
        uint slotOffset = BinaryPrimitives.ReadUInt32LittleEndian(bytes[0x18..]);
        ulong word = BinaryPrimitives.ReadUInt64LittleEndian(bytes[0x20..]),
            complement = BinaryPrimitives.ReadUInt64LittleEndian(bytes[0x28..]);

        if (crc != expected) problem = $"trailer checksum at {offset + 0x1C} is {crc:x8}, expected {expected:x8}";
        else if (version != RegionLayout.Version)
            problem = $"trailer version at {offset + 0x08} is {version}, this library knows {RegionLayout.Version}";
        else if (slotCapacity > RegionLayout.MaxValueBytes)
            problem = $"slot capacity at {offset + 0x14} is {slotCapacity}, the most is {RegionLayout.MaxValueBytes}";
        else if (slotOffset < RegionLayout.LengthBytes + (long)slotCapacity
            || slotOffset + 2L * (RegionLayout.SlotHeaderBytes + slotCapacity) > offset)
            problem = $"slots of {slotCapacity} bytes from {slotOffset} do not fit between the front and the trailer at {offset}";
        else if (limit > fileSize - RegionLayout.LengthBytes || (limit > slotCapacity && (flags & RegionLayout.Foreign) == 0))
            problem = $"limit at {offset + 0x10} is {limit}, slots hold {slotCapacity} and the file {fileSize}";
        else if (word != ~complement) problem = $"state at {offset + 0x20} is {word:x16}, its complement {complement:x16}";

        return problem is null ? new RegionTrailer(offset, flags, limit, slotCapacity, slotOffset, new RegionState(word)) : null;
    }
}

/// <summary>The header before a slot's bytes.</summary>
internal readonly record struct RegionSlotHeader(ulong Generation, uint Length, uint Checksum)
{
    public static RegionSlotHeader For(ulong generation, ReadOnlySpan<byte> value)
    {
        Span<byte> covered = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(covered, generation);
        BinaryPrimitives.WriteUInt32LittleEndian(covered[8..], (uint)value.Length);
        return new RegionSlotHeader(generation, (uint)value.Length, Crc32C.Of(covered, value));
    }

    public static RegionSlotHeader Parse(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(target, Generation);
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(target[12..], Checksum);
    }
}
