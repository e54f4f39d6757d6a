using System.Buffers.Binary;

namespace Otto.Ipc.Mmap.Segments;

// What every segment file begins with, and where its parts lie. Agrees with docs/layouts.md; golden bytes in the tests hold both to it.
//
//  0000  fixed header, never changed after creation, under a checksum; then the state word on a line of its own
//  1000  participants, 128 bytes each
//  ....  control words, 128 bytes each, so that no two hot words share a pair of cache lines
//  ....  data, from a multiple of 64 KiB (the largest page of arm64)
//
//  00       08       0C       10       18           20        28      2C               30     40      50
//  +--------+--------+--------+--------+------------+---------+-------+----------------+------+-------+----------+----------+--
//  | magic  | major  | minor  | size   | dataOffset | capacity| shape | maxParticipants| uuid | bootId| param A  | param B  |
//  +--------+--------+--------+--------+------------+---------+-------+----------------+------+-------+----------+----------+--
//  58 reserved (zero)   78 crc32c of 00..77   80 state

/// <summary>The shapes that a segment can hold. The number is stored in the file.</summary>
internal enum SegmentShape
{
    Stream = 1,

    /// <summary>A queue without labels and index, as it was until 0.8: recognised, and refused.</summary>
    EarlierQueue = 2,
    Topic = 3,
    Pool = 4,
    Queue = 5,
}

/// <summary>What a segment is made of: fixed when it is created, checked whenever it is opened.</summary>
internal sealed record SegmentPlan
{
    public required SegmentShape Shape { get; init; }

    /// <summary>A ring's bytes, or a queue's slots.</summary>
    public required long Capacity { get; init; }

    /// <summary>A stream's lanes, or a queue's payload bytes a slot.</summary>
    public required int ParameterA { get; init; }

    /// <summary>A queue's attempt limit.</summary>
    public required int ParameterB { get; init; }

    public required int MaxParticipants { get; init; }

    public required int ControlWords { get; init; }

    public required long DataBytes { get; init; }

    public long ControlOffset => SegmentLayout.ParticipantsOffset + (long)MaxParticipants * SegmentLayout.ParticipantBytes;

    public long DataOffset =>
        SegmentLayout.Align(ControlOffset + (long)ControlWords * SegmentLayout.ControlBytes, SegmentLayout.DataAlignment);

    public long FileSize => DataOffset + SegmentLayout.Align(DataBytes, 4096);

    public long Control(int index) => ControlOffset + (long)index * SegmentLayout.ControlBytes;
}

/// <summary>Offsets, and the fixed header as bytes.</summary>
internal static class SegmentLayout
{
    public const ulong Magic = 0x3143_5049_4F54_544F; // "OTTOIPC1" as bytes in the file
    public const uint Major = 1;
    public const uint Minor = 0;

    public const int IdOffset = 0x30;
    public const int StateOffset = 0x80;
    public const int HeaderBytes = 0x88;
    public const int ParticipantsOffset = 0x1000;
    public const int ParticipantBytes = 128;
    public const int ControlBytes = 128;
    public const int DataAlignment = 0x10000;
    public const int MaxParticipantsLimit = 1024;

    public const int StateReady = 1;
    public const int StateRetired = 2;

    private const int CrcOffset = 0x78;

    public static long Align(long value, long alignment) => (value + alignment - 1) & -alignment;

    public static byte[] Write(SegmentPlan plan, Guid id, Guid bootId)
    {
        byte[] header = new byte[HeaderBytes];
        Span<byte> h = header;
        BinaryPrimitives.WriteUInt64LittleEndian(h, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(h[0x08..], Major);
        BinaryPrimitives.WriteUInt32LittleEndian(h[0x0C..], Minor);
        BinaryPrimitives.WriteInt64LittleEndian(h[0x10..], plan.FileSize);
        BinaryPrimitives.WriteInt64LittleEndian(h[0x18..], plan.DataOffset);
        BinaryPrimitives.WriteInt64LittleEndian(h[0x20..], plan.Capacity);
        BinaryPrimitives.WriteInt32LittleEndian(h[0x28..], (int)plan.Shape);
        BinaryPrimitives.WriteInt32LittleEndian(h[0x2C..], plan.MaxParticipants);
        id.TryWriteBytes(h[0x30..], bigEndian: true, out _);
        bootId.TryWriteBytes(h[0x40..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt32LittleEndian(h[0x50..], plan.ParameterA);
        BinaryPrimitives.WriteInt32LittleEndian(h[0x54..], plan.ParameterB);
        BinaryPrimitives.WriteUInt32LittleEndian(h[CrcOffset..], Checksum(h));
        BinaryPrimitives.WriteInt32LittleEndian(h[StateOffset..], StateReady);
        return header;
    }

    /// <summary>Reads a header that was not checked before.</summary>
    /// <exception cref="SegmentMismatchException">It is another version's, or another shape's.</exception>
    /// <exception cref="CorruptSegmentException">A field fails its check.</exception>
    public static FixedHeader Read(ReadOnlySpan<byte> h, long fileSize, SegmentShape shape, string path)
    {
        ulong magic = BinaryPrimitives.ReadUInt64LittleEndian(h);
        if (magic != Magic)
            throw new CorruptSegmentException(
                $"{path}: magic is {magic:X16}, not {Magic:X16}: this is not a segment of Otto.Ipc; move it away");
        uint major = BinaryPrimitives.ReadUInt32LittleEndian(h[0x08..]);
        if (major != Major)
            throw new SegmentMismatchException(
                $"{path}: layout version {major} is not {Major}; use the version of Otto.Ipc that created it, or remove "
                + $"it if its contents are no longer needed");
        uint crc = BinaryPrimitives.ReadUInt32LittleEndian(h[CrcOffset..]), expected = Checksum(h);
        if (crc != expected) throw new CorruptSegmentException($"{path}: header checksum is {crc:X8}, expected {expected:X8}");
        long size = BinaryPrimitives.ReadInt64LittleEndian(h[0x10..]);
        if (size != fileSize) throw new CorruptSegmentException($"{path}: the file has {fileSize:N0} bytes, its header says {size:N0}");
        int actual = BinaryPrimitives.ReadInt32LittleEndian(h[0x28..]);
        if (actual != (int)shape) throw new SegmentMismatchException($"{path}: holds a {(SegmentShape)actual}, not a {shape}");
        return new FixedHeader(
            size,
            BinaryPrimitives.ReadInt64LittleEndian(h[0x18..]),
            BinaryPrimitives.ReadInt64LittleEndian(h[0x20..]),
            BinaryPrimitives.ReadInt32LittleEndian(h[0x2C..]),
            new Guid(h[0x30..0x40], bigEndian: true),
            new Guid(h[0x40..0x50], bigEndian: true),
            BinaryPrimitives.ReadInt32LittleEndian(h[0x50..]),
            BinaryPrimitives.ReadInt32LittleEndian(h[0x54..]),
            BinaryPrimitives.ReadInt32LittleEndian(h[StateOffset..]));
    }

    private static uint Checksum(ReadOnlySpan<byte> h) => Crc32C.Of(h[..CrcOffset]);
}

/// <summary>The fixed header as read; the numbers are not yet held against a shape.</summary>
internal readonly record struct FixedHeader(
    long FileSize, long DataOffset, long Capacity, int MaxParticipants, Guid Id, Guid BootId, int ParameterA, int ParameterB, int State);
