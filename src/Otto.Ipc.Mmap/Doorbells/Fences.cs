using System.Runtime.InteropServices;
using Otto.Ipc.Native;

namespace Otto.Ipc.Mmap.Doorbells;

// A signaller publishes, then looks whether somebody waits; a waiter says that it waits, then looks whether something was published.
// One of them must not miss the other, which takes a store-load fence on both sides. A fence a message would drain the store buffer
// into another core's cache each time, so the one who is about to sleep pays for both: membarrier makes every running thread of every
// registered process pass a barrier. Why, and what it costs: docs/decisions/0002-the-waiter-pays-for-the-fence.md.

internal static class Fences
{
    private const int GlobalExpedited = 1 << 1, RegisterGlobalExpedited = 1 << 2;
    private static readonly long Number = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 283 : 324;

    /// <summary>Whether this process's signallers may leave their fence to the waiter.</summary>
    public static readonly bool Asymmetric = Libc.Supported
        && Environment.GetEnvironmentVariable("OTTO_FENCE") != "full"
        && Libc.Syscall(Number, RegisterGlobalExpedited, 0, 0, 0, 0, 0) == 0;

    /// <summary>The signaller's side, between publishing and reading the doorbell.</summary>
    public static void Signaller()
    {
        // Pairs with Waiter. Where the process is registered the waiter's barrier reaches this thread wherever it stands.
        if (!Asymmetric) Interlocked.MemoryBarrier();
    }

    /// <summary>The waiter's side, between announcing itself and the last look.</summary>
    /// <returns><see langword="false"/> where other processes could not be reached: the wait must be short, and look again.</returns>
    public static bool Waiter()
    {
        Interlocked.MemoryBarrier();
        // Reaches the processes that registered; the others fence for themselves. So it is needed even where this process is not registered.
        return Libc.Syscall(Number, GlobalExpedited, 0, 0, 0, 0, 0) == 0;
    }
}
