using System.Globalization;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Loans;

// The blocks that one channel lends: a table of words, and a file a block. Agrees with docs/layouts.md, which has the protocol.
//
//  data: entries of 40 bytes (hexadecimal) each
//
//  entry:  00       08       10
//          +--------+--------+------+----- - -
//          | word   | bytes  | file | zero
//          +--------+--------+------+----- - -
//          word is the only field that is ever contended; bytes and file belong to whom the word names as its maker.
//
//  word:   63                36 35   32 31            0
//          +-------------------+-------+---------------+
//          | generation        | state | holders       |
//          +-------------------+-------+---------------+
//          generation  one more each time the block becomes free: a descriptor with another one speaks of something that is gone
//          holders     a bit for each participant that holds the block: its writer, or readers beyond the message. A bit can be cleared
//                      after a death any number of times, which a count could not.
//
//  descriptor, in a slot or a frame:   00      04    08           10
//                                      +-------+-----+------------+--------+
//                                      | block | file| generation | length |
//                                      +-------+-----+------------+--------+

internal enum BlockState
{
    Free = 0,
    Making = 1,
    Writing = 2,
    Sending = 3,
    Sent = 4,
    Held = 5,
}

internal static class BlockWord
{
    public const long GenerationMask = (1L << 28) - 1;

    public static long Make(BlockState state, long generation, uint holders) =>
        (generation & GenerationMask) << 36 | (long)state << 32 | holders;

    public static BlockState State(long word) => (BlockState)((word >> 32) & 0xF);

    public static long Generation(long word) => (word >> 36) & GenerationMask;

    public static uint Holders(long word) => (uint)word;
}

/// <summary>What a message says instead of bytes: which block, and how much of it.</summary>
internal readonly record struct BlockDescriptor(int Block, int File, long Generation, int Length)
{
    /// <summary>Bytes that a descriptor takes in a slot or frame.</summary>
    public const int Bytes = 24;

    /// <summary>The block as a loan names it; how much of it is the message is said when it is sent.</summary>
    public SlotToken ToToken() => new((long)File << 32 | Generation, Block);

    public static BlockDescriptor Of(in SlotToken token, int bytes) =>
        new(token.Index, (int)(token.Word >> 32), token.Word & BlockWord.GenerationMask, bytes);

    public void Write(SegmentMapping map, long at)
    {
        map.Int(at) = Block;
        map.Int(at + 4) = File;
        map.Long(at + 8) = Generation;
        map.Int(at + 16) = Length;
    }

    /// <summary>Reads an unverified descriptor. Each field is read once.</summary>
    public static BlockDescriptor Read(SegmentMapping map, long at) =>
        new(Volatile.Read(ref map.Int(at)), Volatile.Read(ref map.Int(at + 4)), Volatile.Read(ref map.Long(at + 8)),
            Volatile.Read(ref map.Int(at + 16)));
}

internal static class PoolLayout
{
    public const int EntryBytes = 0x40;
    public const int Size = 0x08, File = 0x10;

    /// <summary>The holders' mask has this many bits.</summary>
    public const int MaxParticipants = 32;

    public const int MostBlocks = 1 << 16;
    public const int LeastBlockBytes = 4096;
    public const int MostBlockBytes = 1 << 30;

    /// <summary>What all files of a channel's pool begin with: its own file's name, and
    /// something of its identity, so that a later channel of that name has others.</summary>
    public static string Prefix(string channelPath, Guid id) => SegmentFile.CompanionPrefix(channelPath, id);

    public static string PoolPath(string prefix) => prefix + ".pool";

    public static string BlockPath(string prefix, int block, int file) =>
        string.Create(CultureInfo.InvariantCulture, $"{prefix}.{block}-{file}.block");
}

/// <summary>Makes and checks pool segments.</summary>
internal sealed class PoolSpec(int blocks) : ISegmentSpec
{
    public SegmentShape Shape => SegmentShape.Pool;

    public SegmentPlan NewPlan() => Plan(blocks);

    public SegmentPlan PlanOf(in FixedHeader header, string path)
    {
        if (header.Capacity is < 1 or > PoolLayout.MostBlocks)
            throw new CorruptSegmentException($"{path}: {header.Capacity:N0} blocks, expected 1 to {PoolLayout.MostBlocks:N0}");
        if (header.MaxParticipants != PoolLayout.MaxParticipants)
            throw new CorruptSegmentException($"{path}: {header.MaxParticipants:N0} participants, expected {PoolLayout.MaxParticipants}");
        return Plan((int)header.Capacity);
    }

    public void Initialise(SegmentMapping mapping, SegmentPlan plan)
    {
        // All words of a new pool are zero, as the file's are: every block is free, and has no file yet. Files are counted from anywhere:
        // should somebody delete the pool under its users, the next one does not take the names of blocks that they still have.
        int first = RandomNumber.Between(1, 1 << 30);
        for (int i = 0; i < plan.Capacity; i++) mapping.Int(plan.DataOffset + (long)i * PoolLayout.EntryBytes + PoolLayout.File) = first;
    }

    public string? PendingWork(SegmentMapping mapping, in FixedHeader header, string path) => null; // its channel's messages say

    private static SegmentPlan Plan(int blocks) => new()
    {
        Shape = SegmentShape.Pool,
        Capacity = blocks,
        ParameterA = 0,
        ParameterB = 0,
        MaxParticipants = PoolLayout.MaxParticipants,
        ControlWords = 1,
        DataBytes = (long)blocks * PoolLayout.EntryBytes,
    };
}
