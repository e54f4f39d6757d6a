using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

/// <summary>Waits for one descriptor by poll(2).</summary>
internal static partial class DescriptorPoll
{
    /// <summary>Waits until a descriptor is ready.</summary>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="events">What to wait for, such as POLLIN.</param>
    /// <param name="milliseconds">For how long at most; negative for no limit.</param>
    /// <param name="returned">What it is ready for.</param>
    /// <returns>1 if it is ready, 0 if the time is over, negative if the call failed or was interrupted.</returns>
    public static int Wait(int descriptor, short events, int milliseconds, out short returned)
    {
        var entry = new PollEntry { Descriptor = descriptor, Events = events };
        int ready = Poll(ref entry, 1, milliseconds);
        returned = ready > 0 ? entry.Returned : (short)0;
        return ready;
    }

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollEntry entry, ulong count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
