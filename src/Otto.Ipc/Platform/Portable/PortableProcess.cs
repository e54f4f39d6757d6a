using System.Diagnostics;

namespace Otto.Ipc.Platform.Portable;

internal static class PortableProcess
{
    /// <summary>The start of this process, as .NET knows it.</summary>
    public static readonly ulong StartTime = ReadStartTime();

    private static ulong ReadStartTime()
    {
        using var self = Process.GetCurrentProcess();
        return (ulong)self.StartTime.Ticks;
    }
}
