using System.Runtime.InteropServices;

namespace Otto.Ipc.Peer;

// A process that stops or kills itself does so at exactly the instruction that a test names.

internal static partial class Signals
{
    private const int SigKill = 9, SigStop = 19;

    public static void KillSelf() => _ = Kill(Environment.ProcessId, SigKill);

    public static void StopSelf() => _ = Kill(Environment.ProcessId, SigStop);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);
}
