using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Where the fault tests stop a victim: before and after each shared store. Off, a point is a branch on a constant that the JIT removes.
// On, the process signals itself at the exact instruction, so a SIGKILL there is a real one.
//
//  OTTO_FAULT_AT=queue.fill.word:3:KILL    the third time that this point is reached; STOP instead of KILL halts it there
//  OTTO_FAULT_PLANT=queue.sweep.forgets-cells    a bug, for the tests to prove that they would see it

internal static class FaultPoints
{
    public static readonly bool On = Environment.GetEnvironmentVariable("OTTO_FAULT_AT") is { Length: > 0 };

    private const int SigKill = 9, SigStop = 19;
    private static readonly string? Planted = Environment.GetEnvironmentVariable("OTTO_FAULT_PLANT");
    private static readonly (string Name, int Hit, int Signal) Target = Parse(Environment.GetEnvironmentVariable("OTTO_FAULT_AT"));
    private static readonly FrozenSet<string> Known = FaultPointNames.All.ToFrozenSet();
    private static int _hits;

    /// <summary>Whether a bug is planted. Asked where it would matter, never on a hot path.</summary>
    public static bool Plants(string bug) => Planted is not null && Planted == bug;

    /// <summary>Signals this process if this is the point and the hit it was told.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Reach(string point)
    {
        if (!Known.Contains(point)) Environment.FailFast($"fault point '{point}' is not in FaultPointNames");
        if (point != Target.Name || Interlocked.Increment(ref _hits) != Target.Hit) return;
        bool arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        nint thread = (nint)Libc.Syscall(arm ? 178 : 186 /* gettid */, 0, 0, 0, 0, 0, 0);
        // To this very thread (tgkill): a signal to the process may be another thread's to take, and this one would run on meanwhile.
        Libc.Syscall(arm ? 131 : 234, Environment.ProcessId, thread, Target.Signal, 0, 0, 0);
    }

    private static (string, int, int) Parse(string? value)
    {
        if (string.IsNullOrEmpty(value)) return ("", 0, 0);
        string[] parts = value.Split(':');
        return (parts[0],
            parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 1,
            parts.Length > 2 && parts[2] == "STOP" ? SigStop : SigKill);
    }
}
