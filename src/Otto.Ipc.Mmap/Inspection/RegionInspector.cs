using System.Buffers.Binary;
using System.Globalization;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Stores;

namespace Otto.Ipc.Mmap.Inspection;

// A region that lies among the segments: its name says whose run it is, its first bytes how much it holds.

internal static class RegionInspector
{
    private const string Prefix = "otto-";

    /// <summary>Parses a file's name.</summary>
    /// <returns><see langword="true"/> if it is a region's name; otherwise, <see langword="false"/>.</returns>
    public static bool TryParse(string fileName, out int pid, out string task)
    {
        pid = 0;
        task = "";
        if (fileName.EndsWith(RegionStore.FileSuffix, StringComparison.Ordinal))
        {
            task = fileName[..^RegionStore.FileSuffix.Length];
            return ChannelName.TryParse(task, out _);
        }

        if (!fileName.StartsWith(Prefix, StringComparison.Ordinal)) return false;
        int dash = fileName.IndexOf('-', Prefix.Length);
        if (dash < 0 || !int.TryParse(fileName.AsSpan(Prefix.Length, dash - Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture,
            out pid)) return false;
        task = fileName[(dash + 1)..];
        return ChannelName.TryParse(task, out _);
    }

    public static RegionContents Of(SegmentFileReader bytes, long fileSize, int pid)
    {
        if (fileSize < RegionLayout.LengthBytes)
            throw new CorruptSegmentException(
                $"{bytes.Path}: {fileSize:N0} bytes cannot be a region, which has at least {RegionLayout.LengthBytes}");
        long length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.Read(0, RegionLayout.LengthBytes)),
            limit = fileSize - RegionLayout.LengthBytes, writes = 0;
        if (length > limit) throw new CorruptSegmentException($"{bytes.Path}: a length of {length:N0} exceeds the {limit:N0} bytes there");
        long trailerAt = RegionLayout.TrailerOffset(fileSize);
        if (trailerAt >= 0 && RegionTrailer.Parse(bytes.Read(trailerAt, RegionLayout.TrailerBytes), fileSize, out _) is { } trailer)
        {
            limit = trailer.Limit;
            writes = (long)trailer.State.Generation;
        }

        return new RegionContents(length, limit, writes, pid);
    }
}
