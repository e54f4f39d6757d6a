namespace Otto.Tools.Top;

// One look at everything that there is to see: segments, server, progress.

internal sealed class TopLooks : IAsyncDisposable
{
    private readonly ProgressBoard _board = new();
    private readonly SegmentInspector _segments;
    private readonly RedisLook? _redis;
    private readonly ServerLook _server;
    private readonly string? _only;

    public TopLooks(string? directory, string? redis, string? socket, string? only)
    {
        _only = only;
        _segments = new SegmentInspector(directory, _board);
        _redis = redis is null ? null : new RedisLook(redis, _board);
        _server = new ServerLook(socket);
    }

    public async Task<TopSight> LookAsync(CancellationToken cancellationToken)
    {
        IEnumerable<QueueSight> queues = _segments.Look(_only);
        if (_redis is not null) queues = queues.Concat(await _redis.LookAsync(_only, cancellationToken));
        IEnumerable<ProgressSight> progress = _only is null ? _board.Take().Concat(await _server.LookAsync(cancellationToken)) : _board.Take().Where(p => p.Queue == _only);
        return new TopSight(
            DateTimeOffset.UtcNow, [.. queues.OrderBy(static q => q.Queue, StringComparer.Ordinal).ThenBy(static q => q.Route, StringComparer.Ordinal)],
            [.. progress.OrderBy(static p => p.Queue, StringComparer.Ordinal).ThenBy(static p => p.Task, StringComparer.Ordinal)]);
    }

    public async ValueTask DisposeAsync()
    {
        await _segments.DisposeAsync();
        if (_redis is { } redis) await redis.DisposeAsync();
        await _server.DisposeAsync();
    }
}
