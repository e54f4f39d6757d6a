using System.Buffers.Binary;
using Otto.Ipc;

namespace Otto.Queue;

// Checks once a second whether the routes are still what they were when tasks were sent: reports when one is lost or back,
// and moves tasks on that wait in a segment whose workers have all gone, while workers elsewhere are known.

internal sealed class RouteMonitor(QueueContext context, RouteConnection[] routes, bool handlesAny) : IAsyncDisposable
{
    private const int MostMovedAtOnce = 256;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly string?[] _status = new string?[routes.Length];
    private Task _monitoring = Task.CompletedTask;
    private bool _deserted;
    private long _moved;

    /// <summary>How many tasks were moved on.</summary>
    internal long Moved => Volatile.Read(ref _moved);

    internal void Start() => _monitoring = Task.Run(MonitorAsync);

    private async Task MonitorAsync()
    {
        using PeriodicTimer timer = new(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                CheckStatus();
                await MoveOnAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void CheckStatus()
    {
        for (int i = 0; i < _status.Length; i++)
        {
            RouteConnection route = routes[i];
            string? status = route.Channel.Status;
            if (status is not null && _status[i] is null) context.Log.RouteLost(context.Name, route.Name, status);
            else if (status is null && _status[i] is not null) context.Log.RouteBack(context.Name, route.Name);
            _status[i] = status;
            route.LogWarnings(context);
        }
    }

    // Deserted in two checks in a row: a worker that is just being replaced finds its tasks where they were.
    private async Task MoveOnAsync()
    {
        if (handlesAny || routes.Length < 2) return;
        RouteConnection near = routes[0], far = routes[^1];
        try
        {
            bool deserted = near.Channel.OtherWorkers == 0 && far.Channel.Status is null && far.Channel.OtherWorkers > 0
                && near.Channel.LastCounts.Ready > 0;
            bool move = deserted && _deserted;
            _deserted = deserted;
            if (!move) return;
            int moved = 0;
            while (moved < MostMovedAtOnce && !_stop.IsCancellationRequested && near.Channel.TryLease(out WorkLease lease)
                && await TryMoveAsync(lease, far).ConfigureAwait(false)) moved++;
            if (moved == 0) return;
            Interlocked.Add(ref _moved, moved);
            context.Telemetry.Moved(context.NameTag, near.Name, far.Name, moved);
            context.Log.Moved(context.Name, moved, near.Name, far.Name);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            context.Log.WorkerError(context.Name, e);
        }
    }

    private async ValueTask<bool> TryMoveAsync(WorkLease lease, RouteConnection far)
    {
        bool sent = false;
        try
        {
            byte[] message = lease.Payload.ToArray();
            if (EnvelopeReader.Read(message, out EnvelopeHeader header, out _, out _) is not null || header.Metadata is { IsPinned: true }
                || message.Length > far.Channel.MaxMessageBytes) return false;
            // The attempts that this route has counted go along.
            int attempts = Math.Min(header.AttemptsBefore + lease.Attempt - 1 - lease.GetHistory().UnprovenAttempts, ushort.MaxValue);
            BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(EnvelopeLayout.AttemptsAt), (ushort)attempts);
            sent = (await far.Sender.SendAsync(message, new SendOptions(header.Id), _stop.Token).ConfigureAwait(false)).Outcome
                == SendOutcome.Sent;
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
        await _monitoring.ConfigureAwait(false);
        _stop.Dispose();
    }
}
