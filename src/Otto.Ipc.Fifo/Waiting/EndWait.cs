using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Otto.Ipc.Fifo.Waiting;

// The loop of every wait: look, and if there is nothing, sleep on what the look said. Written once for both ends, blocked and async.

/// <summary>What to sleep on until the next look.</summary>
/// <param name="Descriptor">A descriptor, or -1.</param>
/// <param name="Events">What it should be ready for; the numbers of poll and of epoll are the same.</param>
/// <param name="LongestRetry">Where nothing tells of a change that may come: look again after a while, later each time, up to this many ms. Else 0.</param>
internal readonly record struct Pause(int Descriptor, short Events, int LongestRetry);

/// <summary>Looks for what an end waits for. Throws where it can never come.</summary>
internal interface IReadiness
{
    /// <summary>Looks.</summary>
    /// <param name="arm">Whether to have the poller tell of the pause's descriptor: only the end knows that it is still open.</param>
    /// <param name="pause">What to sleep on, where it is not ready.</param>
    bool IsReady(bool arm, out Pause pause);
}

internal sealed class EndWait(EndGate gate, IReadiness readiness, WakeSignal signal, IReadyTarget target) : IDisposable
{
    private readonly PollerPlace _place = new(target);
    private readonly Timer _timer = new(static target => ((IReadyTarget)target!).OnReady(), target, Timeout.Infinite, Timeout.Infinite);

    /// <summary>Blocks until ready.</summary>
    /// <returns><see langword="false"/> where the time ran out.</returns>
    public bool Wait(TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        int retry = 1;
        using CancellationTokenRegistration stop = Register(cancellationToken);
        while (true)
        {
            gate.ThrowIfClosed();
            cancellationToken.ThrowIfCancellationRequested();
            if (readiness.IsReady(arm: false, out Pause pause)) return true;
            int milliseconds = Remaining(timeout, start);
            if (milliseconds == 0) return false;
            if (pause.LongestRetry > 0) milliseconds = (int)Math.Min((uint)milliseconds, (uint)Next(ref retry, pause)); // -1 is for ever
            signal.Block(pause.Descriptor, pause.Events, milliseconds);
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
                gate.ThrowIfClosed();
                cancellationToken.ThrowIfCancellationRequested();
                if (readiness.IsReady(arm: true, out Pause pause)) return;
                if (pause.LongestRetry > 0) LookAfter(Next(ref retry, pause));
                await signal.WaitAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await stop.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Has the target told when the descriptor is ready. Not for two threads at once.</summary>
    public void Arm(int descriptor, short events) => _place.Arm(descriptor, (uint)events);

    /// <summary>Has the target told after a while.</summary>
    public void LookAfter(int milliseconds) => _timer.Change(milliseconds, Timeout.Infinite);

    /// <summary>Lets go of everything, before the descriptor is closed; nobody waits any more.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        _place.Leave();
        signal.Close();
    }

    private CancellationTokenRegistration Register(CancellationToken cancellationToken) =>
        cancellationToken.CanBeCanceled ? cancellationToken.UnsafeRegister(static signal => ((WakeSignal)signal!).Set(), signal) : default;

    /// <summary>Milliseconds left, rounded up; -1 for ever.</summary>
    private static int Remaining(TimeSpan timeout, long start)
    {
        if (timeout == Timeout.InfiniteTimeSpan) return -1;
        double left = (timeout - Stopwatch.GetElapsedTime(start)).TotalMilliseconds;
        return left <= 0 ? 0 : (int)Math.Min(Math.Ceiling(left), int.MaxValue);
    }

    private static int Next(ref int retry, Pause pause)
    {
        int now = Math.Min(retry, pause.LongestRetry);
        retry = now * 2;
        return now;
    }
}
