using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// One queue on one route beyond this process, as the workers see it: is there something to lease, and who says so when there is.

internal sealed class RouteConnection : IAsyncDisposable
{
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    // A route that was full is not the first choice again before this has passed, else each free place would pull tasks back and forth.
    private const int PassOverMilliseconds = 10;

    private readonly CancellationTokenSource _stop = new();
    private readonly Action _onReady;
    private readonly ITimer _resume;
    private readonly Lane _lane;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _waiting;
    private volatile bool _taking;
    private volatile bool _paused;
    private volatile bool _asking;
    private TaskCompletionSource? _closing;
    private readonly string _fullReason;
    private readonly string _downReason;
    private long _fullUntil;
    private volatile bool _wasDown;
    private int _mayHaveWork = 1;
    private int _givenBackInARow;
    private long _sent;
    private long _givenBack;

    internal RouteConnection(ITaskRoute route, TaskChannel channel, Lane lane)
    {
        Route = route;
        Channel = channel;
        _lane = lane;
        _onReady = OnReady;
        _fullReason = RouteReason.PassedOverFull(route.Route);
        _downReason = RouteReason.PassedOverDown(route.Route);
        _resume = lane.Clock.Provider.CreateTimer(static r => ((RouteConnection)r!).Resume(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    internal ITaskRoute Route { get; }

    internal TaskChannel Channel { get; }

    internal long Sent => Volatile.Read(ref _sent);

    internal long GivenBack => Volatile.Read(ref _givenBack);

    /// <summary>Whether the route was full a moment ago, or is in trouble, so that another is tried first.</summary>
    internal bool IsPassedOver => Environment.TickCount64 < Volatile.Read(ref _fullUntil) || Channel.Status is not null;

    /// <summary>Why another route was taken.</summary>
    internal string PassedOverReason => _wasDown ? _downReason : _fullReason;

    /// <summary>Whether a look is worth its while; only hints, but never false where something waits and nobody would be told.</summary>
    internal bool MayHaveWork => _taking && !_paused && Volatile.Read(ref _mayHaveWork) != 0;

    /// <summary>Announces this process as a worker and starts taking.</summary>
    internal void StartTaking()
    {
        Channel.StartConsuming(_lane);
        _taking = true;
    }

    /// <summary>Takes no more, and says so to producers elsewhere. What is leased stays leased.</summary>
    internal void StopTaking()
    {
        if (!_taking) return;
        _taking = false;
        Channel.StopConsuming();
        _stop.Cancel();
    }

    /// <summary>How many messages wait; <see langword="null"/> where that cannot be told any more.</summary>
    internal int? CountReady()
    {
        try
        {
            return Channel.LastCounts.Ready;
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            return null;
        }
    }

    /// <summary>How many other workers are known; <see langword="null"/> where that cannot be told any more.</summary>
    internal int? CountOthers()
    {
        try
        {
            return Channel.OtherWorkers;
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            return null;
        }
    }

    /// <summary>Sends an envelope, and counts it.</summary>
    internal ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions terms, CancellationToken cancellationToken)
    {
        ValueTask<SendResult> sending = Channel.SendAsync(message, terms, cancellationToken);
        if (!sending.IsCompletedSuccessfully) return CountAsync(sending);
        SendResult answer = sending.Result;
        Note(answer.Outcome);
        return new ValueTask<SendResult>(answer);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SendResult> CountAsync(ValueTask<SendResult> sending)
    {
        SendResult answer = await sending.ConfigureAwait(false);
        Note(answer.Outcome);
        return answer;
    }

    internal void CountSent() => Interlocked.Increment(ref _sent);

    private void Note(SendOutcome outcome)
    {
        if (outcome == SendOutcome.Sent)
        {
            CountSent();
            return;
        }

        _wasDown = outcome == SendOutcome.Unavailable;
        Volatile.Write(ref _fullUntil, Environment.TickCount64 + PassOverMilliseconds);
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
            if (Channel.TryLease(out lease)) return true;
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
        _waiting = Channel.WaitToLeaseAsync(_stop.Token).ConfigureAwait(false).GetAwaiter();
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
        await Channel.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }
}
