using System.Runtime.InteropServices;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Doorbells;

// A signaller publishes, then looks whether somebody waits; a waiter says that it waits, then looks whether something was published.
// One of them must not miss the other, which takes a store-load fence on both sides. A fence a message would drain the store buffer
// into another core's cache each time, so the one who begins to sleep pays for both: membarrier makes every running thread of every
// registered process pass a barrier. Why, and what it costs: docs/decisions/0002-the-waiter-pays-for-the-fence.md.

internal static class Fences
{
    private const int GlobalExpedited = 1 << 1, RegisterGlobalExpedited = 1 << 2;
    private static readonly long Number = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 283 : 324;
    private static volatile bool s_refused;

    /// <summary>Whether this process's signallers may leave their fence to the waiter; it is then reached by the waiter's membarrier.</summary>
    public static readonly bool Asymmetric = Libc.Supported
        && Environment.GetEnvironmentVariable("OTTO_FENCE") != "full"
        && Libc.Syscall(Number, RegisterGlobalExpedited, 0, 0, 0, 0, 0) == 0;

    /// <summary>Whether the waiter's side works here; where it was refused once, waits are short and look again.</summary>
    public static bool SignallersReached => !s_refused;

    /// <summary>Makes every signaller of every process pass a barrier. Needed even where this process fences: the others may not.</summary>
    public static void ReachSignallers()
    {
        if (Libc.Syscall(Number, GlobalExpedited, 0, 0, 0, 0, 0) != 0) s_refused = true;
    }
}
