using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform;

// Which folder of implementations serves this process. Decided once; the fields are constants to the JIT, so a choice costs nothing
// afterwards.

internal static class HostSystem
{
    /// <summary>Whether the Linux part serves here: its numbers are right for x64 and arm64 alone.</summary>
    public static readonly bool IsLinux =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <summary>
    /// Whether <c>OTTO_PLATFORM=portable</c> asks for the portable part wherever there is one: the wait word, the
    /// fence, the locks of participants, segment files, and the watches of files and directories. Every process that
    /// uses a segment must be given the same value: a portable process wakes no process that sleeps in the kernel, and
    /// does not see the locks of the Linux part.
    /// </summary>
    public static readonly bool PrefersPortable = Environment.GetEnvironmentVariable("OTTO_PLATFORM") == "portable";

    /// <summary>Whether a part that exists for Linux and portably is served by Linux.</summary>
    public static readonly bool UsesLinux = IsLinux && !PrefersPortable;
}
