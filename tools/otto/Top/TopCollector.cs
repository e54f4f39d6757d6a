namespace Otto.Tools.Top;

// One look at everything that there is to see: segments, server, progress.

internal sealed class TopCollector : IAsyncDisposable
{
    private readonly ProgressBoard _board = new();
    private readonly SegmentCollector _segments;
    private readonly RedisCollector? _redis;
    private readonly ServerCollector _server;
    private readonly string? _only;

    public TopCollector(string? directory, string? redis, string prefix, string? socket, string? only)
    {
        _only = only;
        _segments = new SegmentCollector(directory, _board);
        _redis = redis is null ? null : new RedisCollector(redis, prefix, _board);
        _server = new ServerCollector(socket);
    }

    public async Task<TopSnapshot> LookAsync(CancellationToken cancellationToken)
    {
        IEnumerable<QueueRow> queues = _segments.Look(_only);
        if (_redis is not null) queues = queues.Concat(await _redis.LookAsync(_only, cancellationToken));
        IEnumerable<ProgressRow> progress = _only is null ? _board.Take().Concat(await _server.LookAsync(cancellationToken))
            : _board.Take().Where(p => p.Queue == _only);
        return new TopSnapshot(
            DateTimeOffset.UtcNow,
            [.. queues.OrderBy(static q => q.Queue, StringComparer.Ordinal).ThenBy(static q => q.Route, StringComparer.Ordinal)],
            [.. progress.OrderBy(static p => p.Queue, StringComparer.Ordinal).ThenBy(static p => p.Task, StringComparer.Ordinal)]);
    }

    public async ValueTask DisposeAsync()
    {
        await _segments.DisposeAsync();
        if (_redis is { } redis) await redis.DisposeAsync();
        await _server.DisposeAsync();
    }
}
