using Otto.Ipc;

namespace Otto.Queue;

// One queue on one route beyond this process, as the workers see it: is there something to lease, and who says so when there is.

internal sealed class RouteQueue : IAsyncDisposable
{
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly Action _onReady;
    private readonly ITimer _resume;
    private readonly Lane _lane;
    private System.Runtime.CompilerServices.ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _waiting;
    private volatile bool _taking;
    private volatile bool _paused;
    private volatile bool _asking;
    private TaskCompletionSource? _closing;
    private int _mayHaveWork = 1;
    private int _givenBackInARow;
    private long _sent;
    private long _givenBack;

    internal RouteQueue(ITaskRoute route, IWorkQueue queue, Lane lane)
    {
        Route = route;
        Queue = queue;
        _lane = lane;
        _onReady = OnReady;
        _resume = lane.Clock.Provider.CreateTimer(static r => ((RouteQueue)r!).Resume(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    internal ITaskRoute Route { get; }

    internal IWorkQueue Queue { get; }

    internal long Sent => Volatile.Read(ref _sent);

    internal long GivenBack => Volatile.Read(ref _givenBack);

    /// <summary>Whether a look is worth its while; only hints, but never false where something waits and nobody would be told.</summary>
    internal bool MayHaveWork => _taking && !_paused && Volatile.Read(ref _mayHaveWork) != 0;

    /// <summary>Announces this process as a worker and starts taking.</summary>
    internal void StartTaking()
    {
        Queue.TakesWork = true;
        _taking = true;
    }

    /// <summary>Takes no more, and says so to producers elsewhere. What is leased stays leased.</summary>
    internal void StopTaking()
    {
        if (!_taking) return;
        _taking = false;
        Queue.TakesWork = false;
        _stop.Cancel();
    }

    /// <summary>How many messages wait; <see langword="null"/> where that cannot be told any more.</summary>
    internal int? CountReady()
    {
        try
        {
            return Queue.GetCounts().Ready;
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            return null;
        }
    }

    internal bool TrySend(ReadOnlySpan<byte> message)
    {
        if (!Queue.TrySend(message)) return false;
        Interlocked.Increment(ref _sent);
        return true;
    }

    /// <summary>Takes the next message.</summary>
    /// <param name="look">Look even where the last look found nothing, and do not ask to be told: for a worker that looks round anyway.</param>
    /// <param name="lease">The message.</param>
    internal bool TryLease(bool look, out WorkLease lease)
    {
        lease = default;
        if (!_taking || _paused || (!look && Volatile.Read(ref _mayHaveWork) == 0)) return false;
        try
        {
            if (Queue.TryLease(out lease)) return true;
            // One waiter at a time: whoever turns the hint off is the one to ask.
            if (!look && Interlocked.Exchange(ref _mayHaveWork, 0) != 0) AskToBeTold();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            Trouble(e);
        }

        return false;
    }

    private void AskToBeTold()
    {
        _asking = true;
#pragma warning disable CA2012 // Consumed once, by OnReady: an await here would allocate.
        _waiting = Queue.WaitToLeaseAsync(_stop.Token).ConfigureAwait(false).GetAwaiter();
#pragma warning restore CA2012
        if (_waiting.IsCompleted) OnReady();
        else _waiting.UnsafeOnCompleted(_onReady);
    }

    private void OnReady()
    {
        try
        {
            _waiting.GetResult();
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return; // Stopping: nobody leases any more.
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            Trouble(e);
            return;
        }
        finally
        {
            _asking = false;
            Interlocked.MemoryBarrier(); // Pairs with the one in DisposeAsync: either it sees that nobody asks, or we see that it waits.
            Volatile.Read(ref _closing)?.TrySetResult();
        }

        Volatile.Write(ref _mayHaveWork, 1);
        _lane.Roster?.Signal();
    }

    private void Trouble(Exception e)
    {
        if (!_taking) return;
        _lane.Log.RouteFailed(_lane.Name, Route.Route, e);
        Pause(AfterTrouble);
    }

    /// <summary>Notes that a message was taken for which a handler is here.</summary>
    internal void NoteTaken() => _givenBackInARow = 0;

    /// <summary>Gives back a message that nobody here can handle, and looks away for a while: it would be the next to come again.</summary>
    internal void GiveBack(in WorkLease lease)
    {
        lease.Abandon(countAttempt: false);
        Interlocked.Increment(ref _givenBack);
        int inARow = Math.Min(Interlocked.Increment(ref _givenBackInARow), 16);
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
        _lane.Roster?.Signal();
    }

    /// <summary>Closes the queue once nobody waits in it any more, so that its participant is gone when this ends (leases aside).</summary>
    public async ValueTask DisposeAsync()
    {
        StopTaking();
        await _resume.DisposeAsync().ConfigureAwait(false);
        TaskCompletionSource closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _closing, closing);
        Interlocked.MemoryBarrier();
        if (_asking) await closing.Task.ConfigureAwait(false);
        await Queue.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }
}
