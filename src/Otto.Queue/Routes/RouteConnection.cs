using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// One queue on one route beyond this process, as the workers see it: is there something to lease, and who says so when there is.

internal sealed class RouteConnection : IAsyncDisposable
{
    private static readonly TimeSpan AfterError = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    // A route that was full is not the first choice again before this has passed, else each free place would pull tasks back and forth.
    private const int PassOverMilliseconds = 10;

    private readonly CancellationTokenSource _stop = new();
    private readonly Action _onWaited;
    private readonly Action _onReady;
    private readonly ITimer _resume;
    private readonly QueueContext _context;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _waiting;
    private volatile bool _consuming;
    private volatile bool _paused;
    private volatile bool _asking;
    private TaskCompletionSource? _closing;
    private readonly string _fullReason;
    private readonly string _downReason;
    private long _fullUntil;
    private volatile bool _wasDown;
    private int _mayHaveWork = 1;
    private int _returnedInARow;
    private long _sent;
    private long _returned;

    internal RouteConnection(ITaskRoute route, TaskChannel channel, QueueContext context, Action onReady)
    {
        Route = route;
        Channel = channel;
        Holding = channel as IHoldingChannel;
        Cancelable = channel as ICancelableChannel;
        Events = channel is IEventChannel { CarriesEvents: true } events ? events : null;
        Results = channel as IResultChannel;
        DeadLetters = channel as IDeadLetterChannel;
        _context = context;
        _onReady = onReady;
        _onWaited = OnWaited;
        _fullReason = RouteReason.PassedOverFull(route.Name);
        _downReason = RouteReason.PassedOverDown(route.Name);
        _resume = context.Clock.Provider.CreateTimer(static r => ((RouteConnection)r!).Resume(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    internal ITaskRoute Route { get; }

    internal RouteName Name => Route.Name;

    internal TaskChannel Channel { get; }

    /// <summary>The channel if it can store a task that runs here; else <see langword="null"/>. The same for the others
    /// below.</summary>
    internal IHoldingChannel? Holding { get; }

    internal ICancelableChannel? Cancelable { get; }

    internal IEventChannel? Events { get; }

    internal IResultChannel? Results { get; }

    internal IDeadLetterChannel? DeadLetters { get; }

    internal long Sent => Volatile.Read(ref _sent);

    internal long Returned => Volatile.Read(ref _returned);

    /// <summary>Whether the route was full a moment ago, or failed, so that another is tried first.</summary>
    internal bool IsPassedOver => Environment.TickCount64 < Volatile.Read(ref _fullUntil) || Channel.Status is not null;

    /// <summary>Why another route was taken.</summary>
    internal string PassedOverReason => _wasDown ? _downReason : _fullReason;

    /// <summary>Whether polling this route is worthwhile. This is only a hint, but it is never <see langword="false"/>
    /// while a message waits and no worker would be notified.</summary>
    internal bool MayHaveWork => _consuming && !_paused && Volatile.Read(ref _mayHaveWork) != 0;

    /// <summary>Announces this process as a worker and starts taking.</summary>
    internal void StartConsuming(ITaskConsumer consumer)
    {
        Channel.StartConsuming(consumer);
        _consuming = true;
    }

    /// <summary>Stops receiving, and announces that to producers elsewhere. What is leased stays leased.</summary>
    internal void StopConsuming()
    {
        if (!_consuming) return;
        _consuming = false;
        Channel.StopConsuming();
        _stop.Cancel();
    }

    /// <summary>Gets the number of waiting messages; <see langword="null"/> if it can no longer be
    /// determined.</summary>
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

    /// <summary>Gets the number of other known workers; <see langword="null"/> if it can no longer be
    /// determined.</summary>
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
    internal ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        ValueTask<SendResult> sending = Channel.SendAsync(message, options, cancellationToken);
        if (!sending.IsCompletedSuccessfully) return CountWhenSentAsync(sending);
        SendResult answer = sending.Result;
        Note(answer.Outcome);
        return new ValueTask<SendResult>(answer);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SendResult> CountWhenSentAsync(ValueTask<SendResult> sending)
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
    /// <param name="poll">Check even if the last check found nothing, and do not wait for more: for a worker that is
    /// polling anyway.</param>
    /// <param name="lease">The message.</param>
    internal bool TryLease(bool poll, out WorkLease lease)
    {
        lease = default;
        if (!_consuming || _paused || (!poll && Volatile.Read(ref _mayHaveWork) == 0)) return false;
        try
        {
            if (Channel.TryLease(out lease)) return true;
            // One waiter at a time: whoever turns the hint off is the one to ask.
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
        _waiting = Channel.WaitToLeaseAsync(_stop.Token).ConfigureAwait(false).GetAwaiter();
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
            return; // Stopping: nobody leases any more.
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            OnError(e);
            return;
        }
        finally
        {
            _asking = false;
            Interlocked.MemoryBarrier(); // Pairs with the one in DisposeAsync: either it sees that nobody asks, or we see that it waits.
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

    /// <summary>Returns a message that no handler here can handle, and pauses for a while: otherwise, the same message
    /// would be the next one to be delivered.</summary>
    internal void Return(in WorkLease lease)
    {
        lease.Abandon(countAttempt: false);
        Interlocked.Increment(ref _returned);
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

    /// <summary>Closes the queue after the last wait in it has ended, so that its participant is gone when this method
    /// ends (leases aside).</summary>
    public async ValueTask DisposeAsync()
    {
        StopConsuming();
        await _resume.DisposeAsync().ConfigureAwait(false);
        TaskCompletionSource closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _closing, closing);
        Interlocked.MemoryBarrier();
        if (_asking) await closing.Task.ConfigureAwait(false);
        await Channel.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }
}
