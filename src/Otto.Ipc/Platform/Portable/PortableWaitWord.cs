namespace Otto.Ipc.Platform.Portable;

// A wait that needs nothing of the system: short sleeps that grow, and a look at the word after each.

internal static class PortableWaitWord
{
    public static unsafe void Wait(nint word, int expected, TimeSpan? timeout)
    {
        long end = timeout is { } limit ? Environment.TickCount64 + (long)limit.TotalMilliseconds : long.MaxValue;
        var pause = default(PortablePause);
        while (Volatile.Read(ref *(int*)word) == expected && Environment.TickCount64 < end) pause.Pause(null);
    }
}
