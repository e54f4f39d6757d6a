using System.Runtime.InteropServices;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>Platforms are declared, not probed; what can be said is whether the declaration
/// names this machine, and owns up to the others.</summary>
internal sealed class PlatformProbe : Probe
{
    private static readonly string[] Reservations = ["untested", "not offered"];

    public override Row Row => Row.CrossPlatform;

    /// <summary>This machine, in the words of a declaration.</summary>
    public static string Here => $"{(OperatingSystem.IsLinux() ? "Linux" : OperatingSystem.IsMacOS() ? "macOS" : "Windows")} "
        + $"{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";

    public override Cell Try(Subject subject)
    {
        string declared = subject.Traits?.Platforms ?? subject.Platforms;
        string verdict = subject.Traits is null ? declared : string.Join(", ", Parts(declared).Where(p => !IsReserved(p)));
        string evidence = $"declared: {declared}. Run here: {Here}, and nowhere else";
        return Found(subject, verdict, evidence, objection: subject.Traits is null ? null : Objection(declared, Here));
    }

    /// <summary>What is wrong with a declaration; <see langword="null"/> where nothing is.</summary>
    public static string? Objection(string declared, string here)
    {
        string? mine = Parts(declared).FirstOrDefault(p => p.Contains(here, StringComparison.Ordinal));
        if (mine is null) return $"its traits do not name {here}, where it ran";
        if (IsReserved(mine)) return $"its traits say '{mine}', and it ran here";
        string? other = Parts(declared).FirstOrDefault(p => p != here && !IsReserved(p));
        return other is null ? null : $"its traits say '{other}', which was never run: they must say 'untested' or 'not offered'";
    }

    private static string[] Parts(string declared) =>
        declared.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static bool IsReserved(string part) => Array.Exists(Reservations, r => part.Contains(r, StringComparison.Ordinal));
}
