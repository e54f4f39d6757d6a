using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Mmap.Inspection;

// A segment read by calls instead of through a mapping: one that is cut short under the look is a short read here, not a SIGBUS.

internal sealed class SegmentFileReader(SafeFileHandle file, string path)
{
    public string Path => path;

    /// <exception cref="CorruptSegmentException">The file ends before them.</exception>
    public byte[] Read(long offset, int length)
    {
        byte[] bytes = new byte[length];
        Read(offset, bytes);
        return bytes;
    }

    /// <exception cref="CorruptSegmentException">The file ends before them.</exception>
    public void Read(long offset, Span<byte> bytes)
    {
        for (int done = 0; done < bytes.Length;)
        {
            int read = RandomAccess.Read(file, bytes[done..], offset + done);
            if (read == 0) throw new CorruptSegmentException($"{path}: the file ends within the {bytes.Length:N0} bytes at {offset:N0}");
            done += read;
        }
    }

    public long Long(long offset)
    {
        Span<byte> bytes = stackalloc byte[8];
        Read(offset, bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }
}
