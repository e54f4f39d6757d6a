using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// A barrier that every thread of every process passes, or a full fence by each who needs one.
// docs/decisions/0002-the-waiter-pays-for-the-fence.md
// has why and what it costs. Windows has no such barrier: FlushProcessWriteBuffers reaches the calling process alone, so there each fences.

internal static class ProcessFence
{
    /// <summary>
    /// Whether this process's signallers may leave their fence to the waiter; the waiter's barrier then reaches them.
    /// </summary>
    public static readonly bool Asymmetric =
        HostSystem.UsesLinux && Environment.GetEnvironmentVariable("OTTO_FENCE") != "full" && Membarrier.TryRegister();

    /// <summary>Whether the waiter's side works here; once it was refused, waits are short and check again.</summary>
    public static bool SignallersReached => !Membarrier.IsRefused;

    /// <summary>
    /// Makes every signaller of every process pass a barrier. Needed even where this process fences: the others may
    /// not.
    /// </summary>
    public static void ReachSignallers()
    {
        if (HostSystem.IsLinux) Membarrier.ReachAll();
        else Interlocked.MemoryBarrier();
    }
}
