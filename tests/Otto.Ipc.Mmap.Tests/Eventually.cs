using System.Diagnostics;

namespace Otto.Ipc.Mmap.Tests;

// Waiting for a condition instead of for a time; the watchdog is far longer than any condition needs.

internal static class Eventually
{
    private static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(120);

    public static void True(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Watchdog) throw new TimeoutException($"not within {Watchdog.TotalSeconds} s: {what}");
            Thread.Yield();
        }
    }

    /// <summary>Runs an action that must come to an end.</summary>
    public static void Ends(Action action, string what)
    {
        var thread = new Thread(Run) { IsBackground = true };
        Exception? thrown = null;
        thread.Start();
        if (!thread.Join(Watchdog)) throw new TimeoutException($"still running after {Watchdog.TotalSeconds} s: {what}");
        if (thrown is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(thrown);

        void Run()
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                thrown = e;
            }
        }
    }
}
