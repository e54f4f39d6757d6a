using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.CompilerServices;
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

    private static readonly string? Planted = Environment.GetEnvironmentVariable("OTTO_FAULT_PLANT");
    private static readonly (string Name, int Hit, bool Stop) Target = Parse(Environment.GetEnvironmentVariable("OTTO_FAULT_AT"));
    private static readonly FrozenSet<string> Known = FaultPointNames.All.ToFrozenSet();
    private static int _hits;

    /// <summary>Whether a bug is planted. Asked where it would matter, never on a hot path.</summary>
    public static bool Plants(string bug) => Planted is not null && Planted == bug;

    /// <summary>Signals this process if this is the configured point and hit.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Reach(string point)
    {
        if (!Known.Contains(point)) Environment.FailFast($"fault point '{point}' is not in FaultPointNames");
        if (point != Target.Name || Interlocked.Increment(ref _hits) != Target.Hit) return;
        if (Target.Stop) ProcessIdentity.StopHere();
        else ProcessIdentity.KillHere();
    }

    private static (string, int, bool) Parse(string? value)
    {
        if (string.IsNullOrEmpty(value)) return ("", 0, false);
        string[] parts = value.Split(':');
        return (parts[0],
            parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 1,
            parts.Length > 2 && parts[2] == "STOP");
    }
}
