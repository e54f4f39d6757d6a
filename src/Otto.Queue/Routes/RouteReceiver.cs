using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// The receiving direction of one queue on one route, for the workers of this process: whether there is a message to lease, and the signal
// when there is one.

internal sealed class RouteReceiver : IAsyncDisposable
{
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly TaskChannel _channel;
    private readonly ISelectiveChannel? _selective;
    private readonly QueueContext _context;
    private readonly CancellationTokenSource _stop = new();
    private readonly Action _onWaited;
    private readonly Action _onReady;
    private readonly ITimer _resume;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _waiting;
    private volatile bool _consuming;
    private volatile bool _paused;
    private volatile bool _asking;
    private TaskCompletionSource? _closing;
    private int _mayHaveWork = 1;
    private int _returnedInARow;
    private long _returned;

    internal RouteReceiver(ITaskRoute route, TaskChannel channel, QueueContext context, Action onReady)
    {
        Name = route.Name;
        Weight = route.Weight;
        _channel = channel;
        Evidence = channel as ICrashEvidenceChannel;
        _selective = channel as ISelectiveChannel;
        _context = context;
        _onReady = onReady;
        _onWaited = OnWaited;
        _resume = context.Clock.Provider.CreateTimer(static r => ((RouteReceiver)r!).Resume(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    internal RouteName Name { get; }

    /// <summary>The channel if it must be notified of what runs alone; else <see langword="null"/>.</summary>
    internal ICrashEvidenceChannel? Evidence { get; }

    /// <summary>How many tasks each worker takes from here before other routes have their turn.</summary>
    internal int Weight { get; }

    internal long Returned => Volatile.Read(ref _returned);

    /// <summary>Whether polling this route is worthwhile. This is only a hint, but it is never <see langword="false"/>
    /// while a message waits and no worker would be notified.</summary>
    internal bool MayHaveWork => _consuming && !_paused && Volatile.Read(ref _mayHaveWork) != 0;

    /// <summary>Announces this process as a worker and starts taking.</summary>
    internal void StartConsuming(ITaskConsumer consumer, IReadOnlyCollection<string> handled)
    {
        _selective?.SetHandled(handled);
        _channel.StartConsuming(consumer);
        _consuming = true;
    }

    /// <summary>Stops receiving, and announces that to producers elsewhere. What is leased stays leased.</summary>
    internal void StopConsuming()
    {
        if (!_consuming) return;
        _consuming = false;
        _channel.StopConsuming();
        _stop.Cancel();
    }

    /// <summary>Takes the next message.</summary>
    /// <param name="poll">Check even if the last check found nothing, and do not wait for more: for a worker that is
    /// polling anyway.</param>
    /// <param name="lease">The message.</param>
    internal bool TryLease(bool poll, out WorkLease lease)
    {
        lease = default;
        if (!_consuming || _paused || (!poll && Volatile.Read(ref _mayHaveWork) == 0)) return false;
        try
        {
            if (_channel.TryLease(out lease)) return true;
            // One waiter at a time: the worker that turns the hint off is the one to ask.
            if (!poll && Interlocked.Exchange(ref _mayHaveWork, 0) != 0) WaitForWork();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            OnError(e);
        }

        return false;
    }

    private void WaitForWork()
    {
        _asking = true;
#pragma warning disable CA2012 // Consumed once, by OnWaited: an await here would allocate.
        _waiting = _channel.WaitToLeaseAsync(_stop.Token).ConfigureAwait(false).GetAwaiter();
#pragma warning restore CA2012
        if (_waiting.IsCompleted) OnWaited();
        else _waiting.UnsafeOnCompleted(_onWaited);
    }

    private void OnWaited()
    {
        try
        {
            _waiting.GetResult();
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return; // Stopping: no worker leases any more.
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            OnError(e);
            return;
        }
        finally
        {
            _asking = false;
            // Pairs with the one in DisposeAsync: either it sees that no wait is open, or we see that it waits.
            Interlocked.MemoryBarrier();
            Volatile.Read(ref _closing)?.TrySetResult();
        }

        Volatile.Write(ref _mayHaveWork, 1);
        _onReady();
    }

    private void OnError(Exception e)
    {
        if (!_consuming) return;
        _context.Log.RouteFailed(_context.Name, Name, e);
        Pause(AfterError);
    }

    /// <summary>Notes that a message was taken for which a handler is here.</summary>
    internal void OnTaken() => _returnedInARow = 0;

    /// <summary>Leaves a message that no handler here can handle to others. Where the route cannot do that, returns it
    /// and pauses for a while: otherwise, the same message would be the next one to be delivered.</summary>
    internal void Return(in WorkLease lease, ReadOnlySpan<byte> name)
    {
        Interlocked.Increment(ref _returned);
        if (_selective is not null && _selective.PassOver(lease, name)) return;
        lease.Abandon(countAttempt: false);
        int inARow = Math.Min(Interlocked.Increment(ref _returnedInARow), 16);
        TimeSpan pause = TimeSpan.FromMilliseconds(1 << (inARow - 1));
        Pause(pause < LongestPause ? pause : LongestPause);
    }

    private void Pause(TimeSpan time)
    {
        _paused = true;
        _resume.Change(time, Timeout.InfiniteTimeSpan);
    }

    private void Resume()
    {
        _paused = false;
        Volatile.Write(ref _mayHaveWork, 1);
        _onReady();
    }

    /// <summary>Ends the waiting, and completes after the last wait in the channel has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        StopConsuming();
        await _resume.DisposeAsync().ConfigureAwait(false);
        TaskCompletionSource closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _closing, closing);
        Interlocked.MemoryBarrier();
        if (_asking) await closing.Task.ConfigureAwait(false);
        _stop.Dispose();
    }
}
