using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Waiting;

// The loop of every wait: poll, and if it is not ready, sleep on what the poll said. Written once for both ends, blocked and async.

/// <summary>What to sleep on until the next poll.</summary>
/// <param name="Id">A pipe, or -1.</param>
/// <param name="Events">What it should be ready for.</param>
/// <param name="LongestRetry">If no event may announce the change: poll again after a
/// while, later each time, up to this many ms. Else 0.</param>
internal readonly record struct SleepSource(int Id, PollEvents Events, int LongestRetry);

/// <summary>What an end waits for.</summary>
internal interface IWaitCondition
{
    /// <summary>Finds out whether it has come. Throws if it can never come.</summary>
    /// <param name="arm">Whether to have the handler called when the source is ready: only
    /// the end knows that it is still open.</param>
    /// <param name="source">What to sleep on, if it has not come.</param>
    bool Poll(bool arm, out SleepSource source);
}

/// <summary>The waits of one end.</summary>
internal sealed class WaitLoop(ExclusiveUse use, IWaitCondition condition, WakeSignal signal, IWaitHandler handler) : IDisposable
{
    // No event tells that the FIFO was deleted.
    private const int LongestSleep = 1000;

    private readonly WaitRegistration _registration = new(handler);
    private readonly Timer _timer = new(static handler => ((IWaitHandler)handler!).OnReady(), handler, Timeout.Infinite, Timeout.Infinite);

    /// <summary>Blocks until ready.</summary>
    /// <returns><see langword="true"/> if the condition is ready; <see langword="false"/> if the time ran
    /// out.</returns>
    public bool Wait(TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        int retry = 1;
        using CancellationTokenRegistration stop = Register(cancellationToken);
        while (true)
        {
            use.ThrowIfClosed();
            cancellationToken.ThrowIfCancellationRequested();
            if (condition.Poll(arm: false, out SleepSource source)) return true;
            int milliseconds = Remaining(timeout, start);
            if (milliseconds == 0) return false;
            int longest = source.LongestRetry > 0 ? Next(ref retry, source) : LongestSleep;
            milliseconds = (int)Math.Min((uint)milliseconds, (uint)longest); // -1 is for ever
            signal.Block(source.Id, source.Events, milliseconds);
        }
    }

    /// <summary>Waits without holding a thread until ready.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        int retry = 1;
        CancellationTokenRegistration stop = Register(cancellationToken);
        try
        {
            while (true)
            {
                use.ThrowIfClosed();
                cancellationToken.ThrowIfCancellationRequested();
                if (condition.Poll(arm: true, out SleepSource source)) return;
                CallAfter(source.LongestRetry > 0 ? Next(ref retry, source) : LongestSleep);
                await signal.WaitAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await stop.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Has the handler called when the pipe is ready. Not for two threads at once.</summary>
    public void Arm(int id, PollEvents events) => _registration.Arm(id, events);

    /// <summary>Has the handler called after a while.</summary>
    public void CallAfter(int milliseconds) => _timer.Change(milliseconds, Timeout.Infinite);

    /// <summary>Ends all of it, before the pipe is closed; no thread waits any more.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        _registration.Leave();
        signal.Close();
    }

    private CancellationTokenRegistration Register(CancellationToken cancellationToken) =>
        cancellationToken.CanBeCanceled ? cancellationToken.UnsafeRegister(static signal => ((WakeSignal)signal!).Set(), signal) : default;

    /// <summary>Gets the milliseconds left, rounded up; -1 to wait indefinitely.</summary>
    private static int Remaining(TimeSpan timeout, long start)
    {
        if (timeout == Timeout.InfiniteTimeSpan) return -1;
        double left = (timeout - Stopwatch.GetElapsedTime(start)).TotalMilliseconds;
        return left <= 0 ? 0 : (int)Math.Min(Math.Ceiling(left), int.MaxValue);
    }

    private static int Next(ref int retry, SleepSource source)
    {
        int now = Math.Min(retry, source.LongestRetry);
        retry = now * 2;
        return now;
    }
}
