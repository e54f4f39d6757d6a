using System.Collections.Concurrent;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Portable;

// Mapped files by .NET's own type. It cannot lay zeros over a range that may still be read, so a quarantined view stays mapped until many
// others were quarantined after it.

internal static unsafe class MappedViews
{
    private const int MostQuarantined = 1024;
    // Their files may have no name any more; then this is all that holds their memory.
    private const long MostQuarantinedBytes = 256L << 20;

    private static readonly ConcurrentDictionary<nint, MemoryMappedViewAccessor> s_views = new();
    private static readonly Queue<(nint Address, long Length)> s_quarantined = new();
    private static long s_quarantinedBytes;

#pragma warning disable RS0030 // The ban is for protocols, which use SegmentMapping; this is what it stands on here.
    public static nint Map(SafeFileHandle file, long length, bool writable)
    {
        MemoryMappedFileAccess access = writable ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read;
        using MemoryMappedFile mapped =
            MemoryMappedFile.CreateFromFile(file, null, length, access, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor view = mapped.CreateViewAccessor(0, length, access);
#pragma warning restore RS0030
        byte* address = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref address);
        s_views[(nint)address] = view;
        return (nint)address;
    }

    public static void Unmap(nint address)
    {
        if (!s_views.TryRemove(address, out MemoryMappedViewAccessor? view)) return;
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
    }

    public static void Quarantine(nint address, long length)
    {
        lock (s_quarantined)
        {
            s_quarantined.Enqueue((address, length));
            s_quarantinedBytes += length;
            while (s_quarantined.Count > MostQuarantined || (s_quarantinedBytes > MostQuarantinedBytes && s_quarantined.Count > 1))
            {
                (nint oldest, long oldLength) = s_quarantined.Dequeue();
                s_quarantinedBytes -= oldLength;
                Unmap(oldest);
            }
        }
    }
}
