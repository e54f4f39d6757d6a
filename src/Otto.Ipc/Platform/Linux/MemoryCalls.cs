using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Linux;

internal static unsafe class MemoryCalls
{
    private const int MostQuarantined = 1024;
    private static readonly Queue<(nint Address, nuint Length)> s_quarantined = new();

    public static nint Map(SafeFileHandle file, long length, bool writable)
    {
        void* address = Libc.Mmap(null, (nuint)length, writable ? Libc.PROT_READ | Libc.PROT_WRITE : Libc.PROT_READ, Libc.MAP_SHARED,
            (int)file.DangerousGetHandle(), 0);
        if ((nint)address == -1) throw Libc.Failure("mmap", $"{length:N0} bytes");
        GC.KeepAlive(file);
        return (nint)address;
    }

    public static void Unmap(nint address, long length) => _ = Libc.Munmap((void*)address, (nuint)length);

    /// <summary>Lays private zeros over the address range, in one step.</summary>
    public static void Quarantine(nint address, long length)
    {
        const int Fixed = Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_FIXED | Libc.MAP_NORESERVE;
        if ((nint)Libc.Mmap((void*)address, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE, Fixed, -1, 0) == -1)
            throw Libc.Failure("mmap", $"{length:N0} bytes");
        lock (s_quarantined)
        {
            s_quarantined.Enqueue((address, (nuint)length));
            if (s_quarantined.Count <= MostQuarantined) return;
            (nint oldest, nuint oldLength) = s_quarantined.Dequeue();
            _ = Libc.Munmap((void*)oldest, oldLength);
        }
    }
}
