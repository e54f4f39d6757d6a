using System.Diagnostics;

namespace Otto.Ipc.Files.Watching;

// Waits until a look says that something came. It looks after each change in the places that matter, and once a second whatever happens:
// a file system may not tell, and nothing tells of a death.

/// <summary>What is waited for, and where.</summary>
internal interface IAwaited
{
    /// <summary>Looks.</summary>
    /// <returns>The answer; null where there is none yet.</returns>
    bool? Look();

    /// <summary>The directories in which a change may bring the answer.</summary>
    IEnumerable<string> Places { get; }

    /// <summary>When to look again although nothing changed.</summary>
    TimeSpan LookAgainIn { get; }
}

/// <summary>The waiting of one end or handle; several threads may wait in it at once.</summary>
internal sealed class ChangeWaiter(FilesTransportOptions options) : IDisposable
{
    public static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    private readonly Wakeup _wakeup = new();
    private volatile bool _disposed;

    /// <summary>Makes everybody who waits here look again.</summary>
    public void Ring() => _wakeup.Ring();

    /// <summary>Blocks until there is an answer.</summary>
    /// <returns>The answer; false where the time ran out.</returns>
    public bool Wait(IAwaited awaited, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (timeout < TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(nameof(timeout), $"a time limit cannot be negative: {timeout}");
        cancellationToken.ThrowIfCancellationRequested();
        if (awaited.Look() is { } now) return now;
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Task rung = _wakeup.Next();
            TimeSpan sleep = Arm(awaited);
            if (awaited.Look() is { } answer) return answer;
            if (timeout != Timeout.InfiniteTimeSpan)
            {
                TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
                if (left <= TimeSpan.Zero) return false;
                if (left < sleep) sleep = left;
            }

            rung.Wait(Milliseconds(sleep), cancellationToken);
            // Before arming anew, which most wake-ups need not do.
            if (awaited.Look() is { } woken) return woken;
        }
    }

    /// <summary>Waits, without holding a thread, until there is an answer.</summary>
    public async ValueTask<bool> WaitAsync(IAwaited awaited, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (awaited.Look() is { } now) return now;
        while (true)
        {
            Task rung = _wakeup.Next();
            TimeSpan sleep = Arm(awaited);
            if (awaited.Look() is { } answer) return answer;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(rung, Task.Delay(Milliseconds(sleep), over.Token)).ConfigureAwait(false);
            await over.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            if (awaited.Look() is { } woken) return woken;
        }
    }

    /// <summary>Takes this waiter out of every watch. Who still waits here finds out by its own look.</summary>
    public void Dispose()
    {
        _disposed = true;
        DirectoryWatcher.Forget(_wakeup);
    }

    /// <summary>Asks to be told of changes.</summary>
    /// <returns>How long to sleep at most.</returns>
    private TimeSpan Arm(IAwaited awaited)
    {
        bool told = options.Watching == WatchMode.Notify;
        if (told)
        {
            foreach (string place in awaited.Places) told &= DirectoryWatcher.Arm(place, _wakeup);
            // Disposed meanwhile, perhaps before these were there to be taken out.
            if (_disposed) DirectoryWatcher.Forget(_wakeup);
        }

        TimeSpan most = told ? LongestSleep : options.PollInterval, again = awaited.LookAgainIn;
        return again < most ? again : most;
    }

    // Rounded up: a wait of no milliseconds would be a busy one.
    private static int Milliseconds(TimeSpan time) => Math.Max(1, (int)Math.Ceiling(time.TotalMilliseconds));
}
