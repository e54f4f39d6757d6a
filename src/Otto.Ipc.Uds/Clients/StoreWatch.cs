using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Clients;

// A watch reads only when it is asked for more, so that the server knows when it is slow and leaves values out. When its connection was
// lost, or it was too slow for too long, it takes a snapshot and goes on: values may be told twice, the last one always comes.

/// <summary>Receives events of keys over a connection of its own.</summary>
internal sealed class StoreWatch : IStoreWatch
{
    private readonly UdsClient _client;
    private readonly byte[] _pattern;
    private readonly int _prefixLength;
    private readonly CancellationTokenSource _disposed = new();
    private readonly Queue<StoreChange> _ready = new();

    // Which keys there are, as far as this watch was told: one that is not in the snapshot after a loss was deleted.
    private HashSet<string> _known = [];
    private HashSet<string>? _missing;
    private EventConnection? _connection;

    private StoreWatch(UdsClient client, byte[] pattern, int prefixLength, EventConnection connection)
    {
        _client = client;
        _pattern = pattern;
        _prefixLength = prefixLength;
        _connection = connection;
    }

    /// <summary>Begins to watch.</summary>
    /// <param name="client">How to reach the server.</param>
    /// <param name="pattern">Which keys, as the server knows them.</param>
    /// <param name="prefixLength">The number of characters to remove from the start of each reported key.</param>
    /// <param name="snapshot">Whether the values of now come first.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public static async Task<StoreWatch> OpenAsync(UdsClient client, byte[] pattern, int prefixLength, bool snapshot,
        CancellationToken cancellationToken)
    {
        Interests interests = Interests.Keys | (snapshot ? Interests.Snapshot : 0);
        EventConnection connection = await EventConnection.OpenAsync(client, pattern, interests, cancellationToken).ConfigureAwait(false);
        var watch = new StoreWatch(client, pattern, prefixLength, connection);
        try
        {
            // A snapshot tells by itself which keys there are.
            if (!snapshot) await watch.ListAsync(connection, cancellationToken).ConfigureAwait(false);
            return watch;
        }
        catch
        {
            await watch.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public IAsyncEnumerator<StoreChange> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _disposed.Cancel();
        _connection?.Dispose();
        return default;
    }

    private async IAsyncEnumerable<StoreChange> EnumerateAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposed.Token);
        do
        {
            while (_ready.TryDequeue(out StoreChange change)) yield return change;
        }
        while (await StepAsync(cancellationToken, stop.Token).ConfigureAwait(false));
    }

    /// <summary>Processes one frame, or replaces a lost connection.</summary>
    /// <returns><see langword="true"/> if the watch continues; <see langword="false"/> if it was disposed.</returns>
    private async ValueTask<bool> StepAsync(CancellationToken asked, CancellationToken stop)
    {
        try
        {
            stop.ThrowIfCancellationRequested();
            bool rejoins = _connection is null;
            EventConnection connection =
                _connection ??= await EventConnection.OpenAsync(_client, _pattern, Interests.Keys | Interests.Snapshot, stop)
                .ConfigureAwait(false);
            try
            {
                if (rejoins) await BeginAnewAsync(connection, stop).ConfigureAwait(false);
                if (!await connection.NextAsync(stop).ConfigureAwait(false)) Lose(connection);
                else if (connection.IsAnswer(out _)) ReportMissing();
                else Take(connection.Event());
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException && !_disposed.IsCancellationRequested)
            {
                Lose(connection);
            }

            return true;
        }
        catch (Exception e) when (_disposed.IsCancellationRequested
            && e is OperationCanceledException or SocketException or ObjectDisposedException or IOException)
        {
            asked.ThrowIfCancellationRequested();
            return false;
        }
    }

    private void Lose(EventConnection connection)
    {
        connection.Dispose();
        _connection = null;
    }

    private async Task BeginAnewAsync(EventConnection connection, CancellationToken stop)
    {
        _missing = [.. _known];
        // Its answer comes when the snapshot is complete.
        await connection.AskAsync(WireCommand.Ping, [], stop).ConfigureAwait(false);
    }

    /// <summary>Reads the list of keys. Changes that happen meanwhile are kept and reported later.</summary>
    private async Task ListAsync(EventConnection connection, CancellationToken cancellationToken)
    {
        await connection.AskAsync(WireCommand.List, _pattern, cancellationToken).ConfigureAwait(false);
        while (await connection.NextAsync(cancellationToken).ConfigureAwait(false))
        {
            if (connection.IsAnswer(out ReadOnlyMemory<byte> keys))
            {
                _known = [.. UdsClient.Keys(keys.Span).Select(key => key[_prefixLength..])];
                return;
            }

            Take(connection.Event());
        }

        throw new IOException("the server closed the connection before it answered");
    }

    private void Take(WireEvent news)
    {
        string key = news.Name[_prefixLength..];
        _missing?.Remove(key);
        bool set = news.Kind == EventKind.Set;
        if (set) _known.Add(key);
        else _known.Remove(key);
        _ready.Enqueue(new StoreChange(set ? StoreChangeKind.Set : StoreChangeKind.Deleted, key, news.Value));
    }

    private void ReportMissing()
    {
        foreach (string key in _missing ?? [])
        {
            _known.Remove(key);
            _ready.Enqueue(new StoreChange(StoreChangeKind.Deleted, key, default));
        }

        _missing = null;
    }
}
