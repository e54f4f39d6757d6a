using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// Memory of the system's own, which goes back to it as a whole: the collector would keep what a crowd once needed.

internal static unsafe class AnonymousMemory
{
    /// <summary>Allocates zeroed memory.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="purpose">What for, in the message of the exception.</param>
    /// <exception cref="IOException">The system has none.</exception>
    public static byte* Allocate(int bytes, string purpose)
    {
        byte* memory = (byte*)Libc.Mmap(null, (nuint)bytes, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        return (nint)memory == -1 ? throw Libc.Failure("mmap", $"{bytes:N0} bytes for {purpose}") : memory;
    }

    public static void Free(byte* memory, int bytes) => _ = Libc.Munmap(memory, (nuint)bytes);
}
