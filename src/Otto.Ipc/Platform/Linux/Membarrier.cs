namespace Otto.Ipc.Platform.Linux;

// A signaller publishes, then looks whether somebody waits; a waiter says that it waits, then looks whether something was published.
// One of them must not miss the other, which takes a store-load fence on both sides. A fence a message would drain the store buffer
// into another core's cache each time, so the one who begins to sleep pays for both: membarrier makes every running thread of every
// registered process pass a barrier. Why, and what it costs: docs/decisions/0002-the-waiter-pays-for-the-fence.md.

internal static class Membarrier
{
    private const int GlobalExpedited = 1 << 1, RegisterGlobalExpedited = 1 << 2;
    private static volatile bool s_refused;

    /// <summary>Whether the kernel has refused a barrier.</summary>
    public static bool IsRefused => s_refused;

    /// <summary>Lets barriers of any process reach this one.</summary>
    public static bool TryRegister() => Libc.Syscall(Abi.Membarrier, RegisterGlobalExpedited, 0, 0, 0, 0, 0) == 0;

    /// <summary>Makes every running thread of every registered process pass a barrier.</summary>
    public static void ReachAll()
    {
        if (Libc.Syscall(Abi.Membarrier, GlobalExpedited, 0, 0, 0, 0, 0) != 0) s_refused = true;
    }
}
