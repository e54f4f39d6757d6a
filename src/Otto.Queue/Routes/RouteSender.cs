using System.Runtime.CompilerServices;

namespace Otto.Queue;

// The sending direction of one queue on one route: sends envelopes, counts them, and remembers for a moment that the route was full.

internal sealed class RouteSender(RouteName route, TaskChannel channel)
{
    // A route that was full is not the first choice again before this has passed, else each free place would pull tasks back and forth.
    private const int PassOverMilliseconds = 10;

    private readonly string _fullReason = RouteReason.PassedOverFull(route);
    private readonly string _downReason = RouteReason.PassedOverDown(route);
    private long _fullUntil;
    private volatile bool _wasDown;
    private long _sent;

    internal long Sent => Volatile.Read(ref _sent);

    /// <summary>Whether the route was full a moment ago, or failed, so that another is tried first.</summary>
    internal bool IsPassedOver => Environment.TickCount64 < Volatile.Read(ref _fullUntil) || channel.Status is not null;

    /// <summary>Why another route was taken.</summary>
    internal string PassedOverReason => _wasDown ? _downReason : _fullReason;

    /// <summary>Sends an envelope, and counts it.</summary>
    internal ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        ValueTask<SendResult> sending;
        try
        {
            sending = channel.SendAsync(message, options, cancellationToken);
        }
        catch (IOException)
        {
            Note(SendOutcome.Unavailable);
            throw;
        }

        if (!sending.IsCompletedSuccessfully) return CountWhenSentAsync(sending);
        SendResult answer = sending.Result;
        Note(answer.Outcome);
        return new ValueTask<SendResult>(answer);
    }

    /// <summary>Sends an envelope with nothing else asked for, if there is room now, and counts it.</summary>
    internal bool TrySendNow(ReadOnlySpan<byte> message)
    {
        if (!channel.TrySendNow(message)) return false;
        Interlocked.Increment(ref _sent);
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SendResult> CountWhenSentAsync(ValueTask<SendResult> sending)
    {
        SendResult answer = await sending.ConfigureAwait(false);
        Note(answer.Outcome);
        return answer;
    }

    private void Note(SendOutcome outcome)
    {
        if (outcome is SendOutcome.Sent or SendOutcome.Replaced)
        {
            Interlocked.Increment(ref _sent);
            return;
        }

        _wasDown = outcome == SendOutcome.Unavailable;
        Volatile.Write(ref _fullUntil, Environment.TickCount64 + PassOverMilliseconds);
    }
}
