using System.Buffers.Binary;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Inspection;

// What a pool's blocks are doing, and the files beside it that they have.

internal static class PoolInspector
{
    private const string BlockSuffix = ".block";
    private const int IdentityLength = 9; // '-' and eight hexadecimal digits

    public static PoolContents Of(SegmentFileReader bytes, SegmentPlan plan)
    {
        byte[] entries = bytes.Read(plan.DataOffset, (int)plan.Capacity * PoolLayout.EntryBytes);
        int free = 0, files = 0;
        long freed = 0;
        for (int at = 0; at < entries.Length; at += PoolLayout.EntryBytes)
        {
            long word = BinaryPrimitives.ReadInt64LittleEndian(entries.AsSpan(at));
            if (BlockWord.State(word) == BlockState.Free) free++;
            if (BinaryPrimitives.ReadInt64LittleEndian(entries.AsSpan(at + PoolLayout.Size)) != 0) files++;
            freed += BlockWord.Generation(word);
        }

        return new PoolContents(ChannelOf(Path.GetFileNameWithoutExtension(bytes.Path)), (int)plan.Capacity - free, free, files, freed);
    }

    /// <summary>The file name of the channel that a pool's own name begins with.</summary>
    public static string ChannelOf(string poolName) =>
        poolName.Length > IdentityLength && poolName[^IdentityLength] == '-' ? poolName[..^IdentityLength] : poolName;

    /// <summary>
    /// Gets the pool that a block's file belongs to; <see langword="null"/> if it is not a block's file.
    /// </summary>
    public static string? PoolOf(string fileName)
    {
        if (!fileName.EndsWith(BlockSuffix, StringComparison.Ordinal)) return null;
        int dot = fileName.LastIndexOf('.', fileName.Length - BlockSuffix.Length - 1);
        return dot > 0 ? fileName[..dot] : null;
    }

    /// <summary>The files of a pool's blocks, and what they take.</summary>
    public static (List<string> Paths, long Bytes) BlocksOf(string directory, string poolName)
    {
        List<string> paths =
            [.. Directory.EnumerateFiles(directory, poolName + ".*" + BlockSuffix).Where(
                path => PoolOf(Path.GetFileName(path)) == poolName)];
        return (paths, paths.Sum(path => PrivateFiles.Status(path)?.Size ?? 0));
    }
}
