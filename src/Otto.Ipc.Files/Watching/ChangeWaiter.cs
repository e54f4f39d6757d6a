using System.Diagnostics;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Watching;

// Waits until a poll says that something came. It polls after each change in the directories that matter, and once per second in any case:
// a file system may not report a change, and a death is never reported.

/// <summary>What is waited for, and where.</summary>
internal interface IWaitCondition
{
    /// <summary>Finds out whether it has come.</summary>
    /// <returns>The answer; <see langword="null"/> if there is none yet.</returns>
    bool? Poll();

    /// <summary>The directories in which a change may bring the answer.</summary>
    IEnumerable<string> Directories { get; }

    /// <summary>When to poll again although nothing changed.</summary>
    TimeSpan NextPollIn { get; }
}

/// <summary>The waiting of one end or handle; several threads may wait in it at once.</summary>
internal sealed class ChangeWaiter(FilesTransportOptions options) : IDisposable
{
    public static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    private readonly ChangeSignal _signal = new();
    private volatile bool _disposed;

    /// <summary>Makes every wait here poll again.</summary>
    public void Wake() => _signal.Set();

    /// <summary>Blocks until there is an answer.</summary>
    /// <returns>The answer; <see langword="false"/> if the time ran out.</returns>
    public bool Wait(IWaitCondition condition, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(nameof(timeout), $"a time limit cannot be negative: {timeout}");
        cancellationToken.ThrowIfCancellationRequested();
        if (condition.Poll() is { } now) return now;
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Task signalled = _signal.Next();
            TimeSpan sleep = Arm(condition);
            if (condition.Poll() is { } answer) return answer;
            if (timeout != Timeout.InfiniteTimeSpan)
            {
                TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
                if (left <= TimeSpan.Zero) return false;
                if (left < sleep) sleep = left;
            }

            signalled.Wait(Milliseconds(sleep), cancellationToken);
            // Before arming anew, which most wake-ups need not do.
            if (condition.Poll() is { } woken) return woken;
        }
    }

    /// <summary>Waits, without holding a thread, until there is an answer.</summary>
    public async ValueTask<bool> WaitAsync(IWaitCondition condition, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (condition.Poll() is { } now) return now;
        while (true)
        {
            Task signalled = _signal.Next();
            TimeSpan sleep = Arm(condition);
            if (condition.Poll() is { } answer) return answer;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(signalled, Task.Delay(Milliseconds(sleep), over.Token)).ConfigureAwait(false);
            await over.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            if (condition.Poll() is { } woken) return woken;
        }
    }

    /// <summary>Takes this waiter out of every watch. A wait that is still open finds out by its own poll.</summary>
    public void Dispose()
    {
        _disposed = true;
        DirectoryWatch.Forget(_signal);
    }

    /// <summary>Requests notifications of changes.</summary>
    /// <returns>The longest time to sleep.</returns>
    private TimeSpan Arm(IWaitCondition condition)
    {
        bool watched = options.Watching == WatchMode.Notify;
        if (watched)
        {
            foreach (string directory in condition.Directories) watched &= DirectoryWatch.Arm(directory, _signal);
            // Disposed meanwhile, perhaps before these were there to be taken out.
            if (_disposed) DirectoryWatch.Forget(_signal);
        }

        TimeSpan most = watched ? LongestSleep : options.PollInterval, again = condition.NextPollIn;
        return again < most ? again : most;
    }

    // Rounded up: a wait of no milliseconds would be a busy one.
    private static int Milliseconds(TimeSpan time) => Math.Max(1, (int)Math.Ceiling(time.TotalMilliseconds));
}
