using System.Diagnostics;

namespace Otto.Ipc.Conformance;

// Tests wait for conditions, never for time to pass; a condition that never comes true fails here instead of hanging the run.

/// <summary>Waits under a watchdog.</summary>
public static class Watchdog
{
    /// <summary>Long enough for a starved machine, short enough to be noticed.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>For work that takes seconds when nothing else runs.</summary>
    public static readonly TimeSpan BulkLimit = TimeSpan.FromMinutes(4);

    /// <summary>Recovery ends within two seconds; the rest is for a machine that has other things to do.</summary>
    public static readonly TimeSpan Recovery = TimeSpan.FromSeconds(2 + 3);

    public static void Until(Func<bool> condition, string what, TimeSpan? limit = null)
    {
        ArgumentNullException.ThrowIfNull(condition);
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > (limit ?? Limit)) Assert.Fail($"waited {limit ?? Limit} for: {what}");
            Thread.Sleep(1);
        }
    }

    public static Task WaitAsync(Task task, TimeSpan? limit = null) => task.WaitAsync(limit ?? Limit);

    public static Task<T> WaitAsync<T>(Task<T> task) => task.WaitAsync(Limit);

    public static Task WaitAsync(ValueTask task) => task.AsTask().WaitAsync(Limit);

    public static Task<T> WaitAsync<T>(ValueTask<T> task) => task.AsTask().WaitAsync(Limit);

    /// <summary>Runs what may block on a thread of its own.</summary>
    public static Task RunOnThread(Action action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Runs what may block on a thread of its own.</summary>
    public static Task<T> RunOnThread<T>(Func<T> function) =>
        Task.Factory.StartNew(function, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
