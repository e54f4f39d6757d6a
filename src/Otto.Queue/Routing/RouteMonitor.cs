using System.Buffers.Binary;
using Otto.Ipc;

namespace Otto.Queue;

// Looks once a second whether the routes are still what they were when tasks were sent: says when one is lost or back,
// and moves tasks on that wait in a segment whose workers have all gone, while workers elsewhere are known.

internal sealed class RouteMonitor(Lane lane) : IAsyncDisposable
{
    private const int MostMovedAtOnce = 256;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly string?[] _troubles = new string?[lane.Routes.Length];
    private Task _watching = Task.CompletedTask;
    private bool _deserted;
    private long _moved;

    /// <summary>How many tasks were moved on.</summary>
    internal long Moved => Volatile.Read(ref _moved);

    internal void Start() => _watching = Task.Run(WatchAsync);

    private async Task WatchAsync()
    {
        using PeriodicTimer timer = new(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                NoteTroubles();
                await MoveOnAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void NoteTroubles()
    {
        for (int i = 0; i < _troubles.Length; i++)
        {
            RouteConnection route = lane.Routes[i];
            string? trouble = route.Channel.Status;
            if (trouble is not null && _troubles[i] is null) lane.Log.RouteLost(lane.Name, route.Route.Route, trouble);
            else if (trouble is null && _troubles[i] is not null) lane.Log.RouteBack(lane.Name, route.Route.Route);
            _troubles[i] = trouble;
        }
    }

    // Deserted for two looks in a row: a worker that is just being replaced finds its tasks where they were.
    private async Task MoveOnAsync()
    {
        if (lane.HandlesAny || lane.Routes.Length < 2) return;
        RouteConnection near = lane.Routes[0], far = lane.Routes[^1];
        try
        {
            bool deserted = near.Channel.OtherWorkers == 0 && far.Channel.Status is null && far.Channel.OtherWorkers > 0 && near.Channel.LastCounts.Ready > 0;
            bool move = deserted && _deserted;
            _deserted = deserted;
            if (!move) return;
            int moved = 0;
            while (moved < MostMovedAtOnce && !_stop.IsCancellationRequested && near.Channel.TryLease(out WorkLease lease) && await TryMoveAsync(lease, far).ConfigureAwait(false)) moved++;
            if (moved == 0) return;
            Interlocked.Add(ref _moved, moved);
            lane.Telemetry.Moved(lane, near.Route.Route, far.Route.Route, moved);
            lane.Log.Moved(lane.Name, moved, near.Route.Route, far.Route.Route);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            lane.Log.WorkerTrouble(lane.Name, e);
        }
    }

    private async ValueTask<bool> TryMoveAsync(WorkLease lease, RouteConnection far)
    {
        bool sent = false;
        try
        {
            byte[] message = lease.Payload.ToArray();
            if (EnvelopeHeader.Read(message, out EnvelopeHeader header, out _, out _) is not null || header.Pinned || message.Length > far.Channel.MaxMessageBytes) return false;
            // The attempts that this route has counted go along.
            int attempts = Math.Min(header.AttemptsBefore + lease.Attempt - 1, ushort.MaxValue);
            BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(EnvelopeLayout.AttemptsAt), (ushort)attempts);
            sent = (await far.SendAsync(message, new SendOptions(header.Id), _stop.Token).ConfigureAwait(false)).Outcome == SendOutcome.Sent;
            return sent;
        }
        finally
        {
            // A death in between leaves both, and the one that stays here counts an attempt for it.
            if (sent) lease.Complete();
            else lease.Abandon(countAttempt: false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(false);
        _stop.Dispose();
    }
}
