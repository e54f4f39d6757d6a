using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Otto.Queue.Tests.Support;

// Waiting for a condition under a watchdog: never for a time.

internal static class Eventually
{
    internal static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(60);

    internal static async Task Holds(Func<bool> condition, [CallerArgumentExpression(nameof(condition))] string what = "")
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Watchdog) Assert.Fail($"not within {Watchdog.TotalSeconds} s: {what}");
            await Task.Delay(1);
        }
    }

    internal static Task<T> Soon<T>(this Task<T> task) => task.WaitAsync(Watchdog);

    internal static Task Soon(this Task task) => task.WaitAsync(Watchdog);
}
