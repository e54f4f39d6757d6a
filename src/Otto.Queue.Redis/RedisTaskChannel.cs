using System.Globalization;
using System.Text;
using Otto.Ipc;

namespace Otto.Queue.Redis;

// One queue on Redis as one process uses it. The parts: RedisSender produces, RedisConsumer consumes,
// RedisLeases ends what was taken, RedisHeartbeat shows that we live.

internal sealed class RedisTaskChannel : TaskChannel, ICancelableChannel, IEventChannel, IResultChannel, IDeadLetterChannel,
    ICrashEvidenceChannel, ISelectiveChannel
{
    // How long a close waits for acknowledgements and all else to arrive; what does not arrive runs again elsewhere.
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    private readonly RedisClient _client;
    private readonly QueueKeys _keys;
    private readonly RedisRouteOptions _options;
    private readonly string _worker = Guid.NewGuid().ToString("n")[..16];
    private readonly CancellationTokenSource _closing = new();
    private readonly RedisSender _sender;
    private readonly RedisLeases _leases;
    private readonly RedisConsumer _consumer;
    private readonly RedisHeartbeat _pulse;
    private readonly RedisResults _results;
    private readonly Func<ValueTask> _closed;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _subscribing = new(1, 1);
    private readonly List<Func<Task>> _subscriptions = [];
    private volatile Action<ReadOnlyMemory<byte>>? _onEvent;
    private Task? _disposing;

    private RedisTaskChannel(RedisClient client, ChannelName queue, RedisRouteOptions options, Func<ValueTask> closed)
    {
        _closed = closed;
        _client = client;
        _keys = new QueueKeys(options.Prefix, client.Database, queue.Value);
        _options = options;
        _sender = new RedisSender(client, _keys, options, _worker, _closing.Token);
        _sender.Counted = counts => _pulse!.Note(RedisHeartbeat.CountsOf(
            [.. counts.Select(static c => long.Parse(c, CultureInfo.InvariantCulture))], options.Capacity));
        RedisContents contents = new(client, _keys, Warn);
        _leases = new RedisLeases(client, _keys, options, _worker, contents, _closing.Token);
        _results = new RedisResults(client, _keys, _worker, _closing.Token);
        _consumer = new RedisConsumer(client, _keys, options, _worker, _leases);
        _pulse = new RedisHeartbeat(client, _keys, options, _worker, _leases, _consumer, contents);
        client.Restored += OnRestored;
    }

    public override int MaxMessageBytes => _options.MaxMessageBytes;

    public override int OtherWorkers => _pulse.OtherWorkers;

    public override bool UsesNetwork => true;

    public override string? Status => _client.Error;

    public override IReadOnlyList<RouteWarning> Warnings => _client.Warnings;

    public override WorkQueueCounts LastCounts => _pulse.LastCounts;

    public override long Capacity => _options.Capacity;

    internal static async Task<RedisTaskChannel> OpenAsync(RedisClient client, ChannelName queue, RedisRouteOptions options,
        Func<ValueTask> closed)
    {
        RedisTaskChannel channel = new(client, queue, options, closed);
        try
        {
            await channel.SubscribeAsync().ConfigureAwait(false);
            await channel._pulse.BeatAsync().ConfigureAwait(false); // So that the first task is judged by who is there.
        }
        catch (RedisUnavailableException e) when (!e.Refused)
        {
            // Not there yet: ridden out like one that went away.
        }
        catch
        {
            await channel.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        await client.CheckServersAsync(options, again: false).ConfigureAwait(false);
        channel._pulse.Start();
        return channel;
    }

    public override ValueTask<SendResult> SendAsync(ReadOnlySpan<byte> message, in SendOptions options, CancellationToken cancellationToken)
    {
        if (message.Length > MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(message),
                $"message of {message.Length:N0} bytes exceeds the limit of {MaxMessageBytes:N0}; raise Redis.MaxMessageBytes");
        return _sender.SendAsync(message, options, cancellationToken);
    }

    public override async ValueTask WaitToSendAsync(CancellationToken cancellationToken)
    {
        await _sender.HalfEmpty.WaitAsync(cancellationToken).ConfigureAwait(false);
        // Room comes from workers elsewhere, who do not know us: looked for more and more seldom.
        for (int pause = 5; ; pause = Math.Min(pause * 2, 250))
        {
            ObjectDisposedException.ThrowIf(_closing.IsCancellationRequested, this);
            await _client.WaitForChangeAsync(TimeSpan.FromMilliseconds(pause), cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            if (Status is not null) continue;
            try
            {
                if ((await CountAsync(cancellationToken).ConfigureAwait(false)).Free > 0) return;
            }
            catch (RedisUnavailableException e) when (!e.Refused)
            {
                // Looked for again after the next pause.
            }
        }
    }

    public ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason) => AddDeadLetterAsync(message.ToArray(), reason);

    private async ValueTask<bool> AddDeadLetterAsync(byte[] message, string reason)
    {
        RedisReply reply = await _client.RunAsync(RedisDeadLetterScripts.Bury, _keys.All,
            [_options.Capacity, reason, message, _options.MostDeadLetters, _options.DeadLetterMilliseconds,
                _keys.Events, _options.ResultMilliseconds, _options.MostResults, KeyOf(message)]).ConfigureAwait(false);
        return reply.Number == 1;
    }

    public override void StartConsuming(ITaskConsumer consumer)
    {
        _consumer.Start(consumer);
        _pulse.BeatNow();
    }

    public override void StopConsuming()
    {
        if (!_consumer.Takes) return;
        _consumer.Stop();
        _pulse.BeatNow();
    }

    public override bool TryLease(out WorkLease lease) => _consumer.TryLease(out lease);

    public override ValueTask WaitToLeaseAsync(CancellationToken cancellationToken) => new(_consumer.WaitAsync(cancellationToken));

    // Its place in an envelope: docs/envelope.md.
    private static byte[] KeyOf(byte[] message) =>
        message is [(byte)'O', ..] && message.Length > 48 + message[6] + message[7]
            ? message.AsSpan(48 + message[6], message[7]).ToArray() : [];

    public void SetHandled(IReadOnlyCollection<string> names) => _consumer.Handled = string.Join('\n', names);

    public bool PassOver(in WorkLease lease, ReadOnlySpan<byte> name) => _leases.PassOver(lease, Encoding.UTF8.GetString(name));

    public async ValueTask<IReadOnlyList<UnhandledTasks>> GetUnhandledAsync(CancellationToken cancellationToken)
    {
        RedisReply[] items = (await _client.RunAsync(RedisResultScripts.Unhandled, _keys.All, []).WaitAsync(cancellationToken)
            .ConfigureAwait(false)).Items;
        List<UnhandledTasks> found = [];
        for (int i = 0; i + 1 < items.Length; i += 2) found.Add(new UnhandledTasks(items[i].Text, HeldEntry.Number(items[i + 1])));
        return found;
    }

    public async ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        RedisReply reply = await _client.RunAsync(RedisResultScripts.Cancel, _keys.All,
            [RedisResults.Field(id), _keys.Events, _options.ResultMilliseconds, _options.MostResults])
            .WaitAsync(cancellationToken).ConfigureAwait(false);
        return reply.Number switch { 1 => CancelOutcome.Removed, 2 => CancelOutcome.Requested, _ => CancelOutcome.NotFound };
    }

    public ValueTask BeginAloneAsync(WorkLease lease, CancellationToken cancellationToken) =>
        _leases.BeginAloneAsync(lease, cancellationToken);

    public async ValueTask FlushAsync(CancellationToken cancellationToken) =>
        await _leases.FlushAsync(CloseTimeout).WaitAsync(cancellationToken).ConfigureAwait(false);

    public bool CarriesEvents => true;

    public ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received)
    {
        _onEvent = received; // The channel is subscribed to from the start.
        return default;
    }

    public async ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null)
    {
        byte[] id = resultOf is { } task ? RedisResults.Field(task) : [];
        object[] arguments = [_keys.Events, message.ToArray(), id, _options.ResultMilliseconds, _options.MostResults];
        while (true)
        {
            try
            {
                await _client.RunAsync(RedisResultScripts.Notify, _keys.All, arguments).ConfigureAwait(false);
                return;
            }
            catch (RedisUnavailableException e) when (resultOf is not null && !e.Refused && !_closing.IsCancellationRequested)
            {
                // Somebody waits for it, and it will not be made again: told once the server is back.
                await _client.WaitForChangeAsync(RetryPause, _closing.Token).ConfigureAwait(false);
            }
        }
    }

    public bool KeepsResults => true;

    public bool AnnouncesResults => true;

    public ValueTask<ResultLookup> FindResultAsync(TaskId id, CancellationToken cancellationToken) =>
        _results.FindAsync(id, cancellationToken);

    public override async ValueTask<WorkQueueCounts> CountAsync(CancellationToken cancellationToken)
    {
        RedisReply[] items =
            (await _client.RunAsync(RedisScripts.Count, _keys.All, []).WaitAsync(cancellationToken)
            .ConfigureAwait(false)).Items;
        return RedisHeartbeat.CountsOf(items, _options.Capacity) with
            { OldestReadyAge = TimeSpan.FromMilliseconds(Math.Max(0, items[RedisHeartbeat.CountItems].Number)),
                TotalIn = items[RedisHeartbeat.CountItems + 1].Number is >= 0 and var entered ? entered : null };
    }

    public async ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(max);
        if (max == 0) return [];
        RedisReply[] items =
            (await _client.RunAsync(RedisDeadLetterScripts.ListDead, _keys.All, [Math.Min(max, 10_000)]).WaitAsync(cancellationToken)
            .ConfigureAwait(false)).Items;
        List<DeadLetter> letters = [];
        for (int i = 0; i + 3 < items.Length; i += 4)
            if (LetterOf(items[i].Text) is { } id)
                letters.Add(new DeadLetter(id, items[i + 3].Bytes, HeldEntry.Number(items[i + 1]), items[i + 2].Text));
        return letters;
    }

    public ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken) =>
        MoveDeadAsync(letter, requeue: true, cancellationToken);

    public ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken) =>
        MoveDeadAsync(letter, requeue: false, cancellationToken);

    private async ValueTask<bool> MoveDeadAsync(DeadLetterId letter, bool requeue, CancellationToken cancellationToken)
        => (await _client.RunAsync(RedisDeadLetterScripts.MoveDead, _keys.All,
            [_keys.WakeUp(""), LetterText(letter), requeue ? "1" : "0"])
            .WaitAsync(cancellationToken).ConfigureAwait(false)).Number == 1;

    private static string LetterText(DeadLetterId letter)
    {
        SlotToken token = letter.ToToken();
        return $"{token.Word}-{token.Index}";
    }

    // A stream's id is milliseconds and a count within them; one that no server gives is of somebody who chose it, and passed over.
    private static DeadLetterId? LetterOf(string id)
    {
        int dash = id.IndexOf('-', StringComparison.Ordinal);
        CultureInfo culture = CultureInfo.InvariantCulture;
        return dash > 0 && long.TryParse(id.AsSpan(0, dash), culture, out long milliseconds)
            && int.TryParse(id.AsSpan(dash + 1), culture, out int count)
            ? DeadLetterId.FromToken(new SlotToken(milliseconds, count))
            : null;
    }

    private async Task SubscribeAsync()
    {
        (ServerChannel Channel, Action<byte[]> Heard)[] wanted = [(_keys.WakeUp(_worker), _ => _consumer.Nudge()), (_keys.Events, OnEvent)];
        await _subscribing.WaitAsync(_closing.Token).ConfigureAwait(false);
        try
        {
            // One at a time and each once: what failed is tried again, what worked the client restores by itself.
            while (_subscriptions.Count < wanted.Length)
                _subscriptions.Add(await _client.SubscribeAsync(wanted[_subscriptions.Count].Channel, wanted[_subscriptions.Count].Heard)
                    .ConfigureAwait(false));
        }
        finally
        {
            _subscribing.Release();
        }
    }

    private void OnEvent(byte[] message)
    {
        if (message is [(byte)'w']) _pulse.BeatNow();
        else if (message is [(byte)'n', ..]) _onEvent?.Invoke(message.AsMemory(1));
    }

    private void OnRestored()
    {
        _pulse.BeatNow();
        _consumer.Nudge();
        _onEvent?.Invoke(default); // Events may have been missed.
        _ = _client.CheckServersAsync(_options, again: true);
        _ = SubscribeLateAsync();
    }

    private async Task SubscribeLateAsync()
    {
        try
        {
            await SubscribeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is RedisUnavailableException or OperationCanceledException)
        {
            // The next restored connection tries again; until then the slow poll finds everything.
        }
    }

    public override ValueTask DisposeAsync()
    {
        lock (_lock) return new(_disposing ??= DisposeOnceAsync());
    }

    // One patience for everything together, and none for a server that is silent.
    private async Task DisposeOnceAsync()
    {
        try
        {
            _client.Restored -= OnRestored;
            StopConsuming();
            using CancellationTokenSource patience = new(CloseTimeout);
            Task leaving = LeaveAsync();
            while (!leaving.IsCompleted && _client.Error is null && !patience.IsCancellationRequested)
                await Task.WhenAny(leaving, _client.WaitForChangeAsync(CloseTimeout, patience.Token)).ConfigureAwait(false);
            // Where it has not ended: a beat under way ends by itself, and has no other after it.
            Task ended = _pulse.DisposeAsync().AsTask();
            if (leaving.IsCompleted) await ended.ConfigureAwait(false);
            await _closing.CancelAsync().ConfigureAwait(false);
        }
        finally
        {
            await _closed().ConfigureAwait(false);
        }
    }

    private async Task LeaveAsync()
    {
        try
        {
            await _consumer.EndAsync().ConfigureAwait(false); // What still came is given back.
            await _leases.FlushAsync(CloseTimeout).ConfigureAwait(false);
            await _results.FlushAsync().WaitAsync(CloseTimeout).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _pulse.DisposeAsync().ConfigureAwait(false);
            await _closing.CancelAsync().ConfigureAwait(false);
            await _subscribing.WaitAsync(CloseTimeout).ConfigureAwait(false); // For good: nobody listens any more.
            await Task.WhenAll([.. _subscriptions.Select(static unsubscribe => unsubscribe()),
                _client.RunAsync(RedisScripts.Leave,
                    [.. _keys.All, _keys.Sent(_worker)], [_keys.Events, _worker, _sender.IsIdle ? "1" : "0"])])
                .ConfigureAwait(false);
        }
        catch (RedisUnavailableException)
        {
            // Others learn by our silence.
        }
    }
}
