using System.Net;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// The one class that runs commands of StackExchange.Redis, by members that 2.13.23 and later share: a program may bring any of these.

internal sealed partial class RedisClient : IAsyncDisposable
{
    private const long CheckEveryMilliseconds = 60_000;

    private readonly IConnectionMultiplexer _multiplexer;
    private readonly bool _owned;
    private readonly TimeSpan _timeout;
    private readonly ConfigurationOptions _options;
    private readonly IDatabase _database;
    private readonly Lock _lock = new();
    private volatile RouteWarning[] _warnings = [];
    private Task? _checking;
    private long _checkedAt = Environment.TickCount64;
    private volatile bool _closed;
    private volatile TaskCompletionSource _change = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal RedisClient(IConnectionMultiplexer multiplexer, bool owned, TimeSpan timeout)
        : this(multiplexer, owned, timeout, ConfigurationOptions.Parse(multiplexer.Configuration, ignoreUnknown: true))
    {
    }

    private RedisClient(IConnectionMultiplexer multiplexer, bool owned, TimeSpan timeout, ConfigurationOptions options)
    {
        Heartbeats = new HeartbeatThread(new DirectConnections(multiplexer, options, timeout));
        _multiplexer = multiplexer;
        _owned = owned;
        _timeout = timeout;
        _options = options;
        _database = multiplexer.GetDatabase();
        multiplexer.ConnectionFailed += OnFailed;
        multiplexer.ConnectionRestored += OnRestored;
    }

    /// <summary>Whether the client still takes a replica for the master; its next command may find another.</summary>
    internal bool IsReadOnly => _readOnly is not null;

    /// <summary>On what thread queues show that they live.</summary>
    internal HeartbeatThread Heartbeats { get; }

    /// <summary>Raised after a connection came back: what was said to sleepers meanwhile is lost.</summary>
    internal event Action? Restored;

    /// <summary>The database that the configuration names.</summary>
    internal int Database => _database.Database;

    internal static async Task<RedisClient> ConnectAsync(string configuration, TimeSpan timeout)
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(configuration);
        // Riding out a server that is not there yet is the same as riding out one that went away.
        options.AbortOnConnectFail = false;
        // A command without a connection fails at once and says why. The queue itself decides what is tried again, and when.
        options.BacklogPolicy = BacklogPolicy.FailFast;
        // INFO and CONFIG GET are commands of an administrator to this client. Nothing is ever changed.
        options.AllowAdmin = true;
        if (string.IsNullOrEmpty(options.ClientName)) options.ClientName = $"otto-{Environment.ProcessId}";
        ConnectionMultiplexer multiplexer = await ConnectionMultiplexer.ConnectAsync(options).ConfigureAwait(false);
        RedisClient client = new(multiplexer, owned: true, timeout, options);
        if (client.Error is not null) await client.FindReasonAsync().ConfigureAwait(false);
        return client;
    }

    /// <summary>The servers that the client knows.</summary>
    private IEnumerable<IServer> Nodes => _multiplexer.GetEndPoints().Select(e => _multiplexer.GetServer(e));

    /// <summary>Completes when a connection comes or goes, or after a moment.</summary>
    internal async Task WaitForChangeAsync(TimeSpan most, CancellationToken cancellationToken)
        => await _change.Task.WaitAsync(most, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Runs a script.</summary>
    /// <exception cref="RedisUnavailableException">It may or may not have run.</exception>
    internal async Task<RedisReply> RunAsync(RedisScript script, string[] keys, object[] arguments)
    {
        object[] all = new object[2 + keys.Length + arguments.Length];
        all[0] = script.Hash;
        all[1] = keys.Length;
        for (int i = 0; i < keys.Length; i++) all[2 + i] = (RedisKey)keys[i];
        for (int i = 0; i < arguments.Length; i++)
            all[2 + keys.Length + i] = arguments[i] is ServerChannel channel ? RedisChannel.Literal(channel.Name) : arguments[i];
        try
        {
            RedisResult answer;
            try
            {
                answer = await WithinTimeoutAsync(_database.ExecuteAsync("EVALSHA", all)).ConfigureAwait(false);
            }
            catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                // A server that was restarted, or has never seen the script: it did not run.
                all[0] = script.Text;
                answer = await WithinTimeoutAsync(_database.ExecuteAsync("EVAL", all)).ConfigureAwait(false);
            }

            NoteReadOnly(null);
            return new RedisReply(answer);
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }
    }

    /// <summary>Waits until replicas have all that was written before.</summary>
    /// <exception cref="RedisUnavailableException">Too few have it.</exception>
    internal async Task WaitForReplicasAsync(string key, int least)
    {
        try
        {
            long most = (long)_timeout.TotalMilliseconds / 2; // The server answers others of this connection only after that.
            // It is about what its own connection wrote: in a cluster, that to the queue's master.
            bool cluster = Nodes.Any(static s => s.ServerType == ServerType.Cluster);
            EndPoint? master = cluster ? await WithinTimeoutAsync(_database.IdentifyEndpointAsync(key, CommandFlags.DemandMaster))
                .ConfigureAwait(false) : null;
            RedisResult has = await WithinTimeoutAsync(master is null ? _database.ExecuteAsync("WAIT", [least, most])
                : _multiplexer.GetServer(master).ExecuteAsync("WAIT", least, most)).ConfigureAwait(false);
            if ((long)has < least)
                throw new RedisUnavailableException($"{has} replicas of {Servers} have the tasks, and Redis.MinReplicas asks for {least}");
        }
        catch (RedisServerException e) when (e.Message.Contains("replica instances", StringComparison.Ordinal))
        {
            Rediscover();
            throw new RedisUnavailableException($"{Servers}: the master became a replica meanwhile", e); // Another has its place.
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }
    }

    /// <summary>Finds the keys that match a pattern, on every master of a cluster. Reads each key.</summary>
    internal async Task<HashSet<string>> FindKeysAsync(string pattern, CancellationToken cancellationToken)
    {
        HashSet<string> found = [];
        IServer[] masters = [.. Nodes.Where(static s => s is { IsConnected: true, IsReplica: false, ServerType: ServerType.Cluster })];
        try
        {
            if (masters.Length == 0) await ScanAsync(_database.ExecuteAsync).ConfigureAwait(false);
            foreach (IServer master in masters) await ScanAsync(master.ExecuteAsync).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && Translate(e) is { } trouble)
        {
            throw trouble;
        }

        return found;

        async Task ScanAsync(Func<string, object[], Task<RedisResult>> execute)
        {
            string cursor = "0";
            do
            {
                Task<RedisResult> scan = execute("SCAN", [cursor, "MATCH", pattern, "COUNT", "1000"]);
                RedisReply[] page = new RedisReply(await WithinTimeoutAsync(scan, cancellationToken).ConfigureAwait(false)).Items;
                foreach (RedisReply key in page[1].Items) found.Add(key.Text);
                cursor = page[0].Text;
            }
            while (cursor != "0");
        }
    }

    /// <summary>Listens to a channel; restored by itself after a lost connection.</summary>
    /// <returns>Ends the listening.</returns>
    internal async Task<Func<Task>> SubscribeAsync(ServerChannel channel, Action<byte[]> heard)
    {
        Action<RedisChannel, RedisValue> handler = (_, message) => heard((byte[]?)message ?? []);
        ISubscriber subscriber = _multiplexer.GetSubscriber();
        try
        {
            await subscriber.SubscribeAsync(RedisChannel.Literal(channel.Name), handler).WaitAsync(_timeout).ConfigureAwait(false);
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }

        return async () =>
        {
            try
            {
                await subscriber.UnsubscribeAsync(RedisChannel.Literal(channel.Name), handler).WaitAsync(_timeout).ConfigureAwait(false);
            }
            catch (Exception e) when (Translate(e) is not null)
            {
                // Nobody hears anything any more, which is what was wanted.
            }
        };
    }

    /// <summary>What the last check of the servers found.</summary>
    internal IReadOnlyList<RouteWarning> Warnings => _warnings;

    /// <summary>Whether the last check was some time ago: memory fills, and replicas fall behind.</summary>
    internal bool IsCheckDue => Environment.TickCount64 - Volatile.Read(ref _checkedAt) > CheckEveryMilliseconds;

    /// <summary>Checks what the servers' configuration and state may cost. One check at a time.</summary>
    internal Task CheckServersAsync(RedisRouteOptions options, bool again)
    {
        lock (_lock)
        {
            if (_checking is { } before && (!again || !before.IsCompleted)) return before;
            Volatile.Write(ref _checkedAt, Environment.TickCount64);
            return _checking = CheckIfReachableAsync(options);
        }
    }

    private async Task CheckIfReachableAsync(RedisRouteOptions options)
    {
        try
        {
            await CheckAsync(options).ConfigureAwait(false);
        }
        catch (RedisUnavailableException)
        {
            // Said by Error. What was found before is still known, and the next check looks again.
        }
    }

    private async Task CheckAsync(RedisRouteOptions options)
    {
        IServer[] connected = [.. Nodes.Where(static s => s.IsConnected)];
        // A replica says what its master's says too, unless it is all that there is.
        if (connected.Any(static s => !s.IsReplica)) connected = [.. connected.Where(static s => !s.IsReplica)];
        if (connected.Length == 0) return; // Said by Error. The next connection looks.
        List<RouteWarning> found = [];
        foreach (IServer server in connected)
        {
            string? info = await TellAsync(server, "INFO").ConfigureAwait(false);
            string? save = info is null ? null : await TellAsync(server, "CONFIG", "GET", "save").ConfigureAwait(false);
            string? cluster = info?.Contains("cluster_enabled:1", StringComparison.Ordinal) != true ? null
                : await TellAsync(server, "CLUSTER", "INFO").ConfigureAwait(false);
            found.AddRange(ServerFindings.Of(NameOf(server.EndPoint), info, save, cluster, options.MinReplicas));
        }

        found.RemoveAll(w => options.AcceptedWarnings.Contains(w.Code));
        // What was found before stays the same object: it is in the log already.
        RouteWarning[] known = _warnings;
        string[] texts = [.. known.Select(Kind)];
        _warnings = [.. found.Select(w => Array.IndexOf(texts, Kind(w)) is >= 0 and int at ? known[at] : w)];

        // Numbers in a text change, and are no news.
        static string Kind(RouteWarning warning)
            => $"{warning.Code} {warning.Text.Split(' ')[0]} {string.Concat(warning.Text.Where(static c => !char.IsAsciiDigit(c)))}";
    }

    private async Task<string?> TellAsync(IServer server, string command, params object[] arguments)
    {
        try
        {
            RedisReply reply = new(await WithinTimeoutAsync(server.ExecuteAsync(command, arguments)).ConfigureAwait(false));
            return command != "CONFIG" ? reply.Text : reply.Items is [_, RedisReply value, ..] ? value.Text : null;
        }
        catch (RedisCommandException) when (command != "EVAL")
        {
            // The client itself refuses, unless a program set allowAdmin for its connection: a script may ask, though not for CONFIG.
            return command == "CONFIG" ? null
                : await TellAsync(server, "EVAL", ["return redis.call(unpack(ARGV))", 0, command, .. arguments]).ConfigureAwait(false);
        }
        catch (Exception e) when (e is RedisCommandException || Translate(e) is { Refused: true })
        {
            return null; // Not allowed: not known.
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }
    }

    private async Task<T> WithinTimeoutAsync<T>(Task<T> command, CancellationToken cancellationToken = default)
    {
        try
        {
            T answer = await command.WaitAsync(_timeout, cancellationToken).ConfigureAwait(false);
            NoteAnswer();
            return answer;
        }
        catch (TimeoutException)
        {
            _ = NoteReasonAsync(command);
            NoteSilence();
            throw;
        }
    }

    private void OnFailed(object? sender, ConnectionFailedEventArgs e)
    {
        _failure = ReasonOf(e.Exception) ?? $"{NameOf(e.EndPoint)}: {e.FailureType}";
        Change();
        _ = AskForRefusalAsync();
    }

    private void OnRestored(object? sender, ConnectionFailedEventArgs e)
    {
        _failure = _silence = null;
        Change();
        Restored?.Invoke();
    }

    private void Change()
    {
        TaskCompletionSource old = _change;
        _change = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        old.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        _multiplexer.ConnectionFailed -= OnFailed;
        _multiplexer.ConnectionRestored -= OnRestored;
        _closed = true;
        Change();
        Heartbeats.End();
        // Commands still on their way are not waited for: whoever needs their answer has it already.
        if (_owned) await Task.Run(() => _multiplexer.Close(allowCommandsToComplete: false)).ConfigureAwait(false);
    }
}

/// <summary>A script and the hash by which the server remembers it.</summary>
internal sealed class RedisScript(string text)
{
    internal string Text { get; } = text;

    internal string Hash { get; } = ScriptHash.Of(text);
}

/// <summary>A server's answer: bytes, a number, or several answers.</summary>
internal readonly struct RedisReply(RedisResult result)
{
    internal RedisReply[] Items => result.IsNull ? [] : Array.ConvertAll((RedisResult[])result!, static r => new RedisReply(r));

    internal byte[] Bytes => (byte[]?)result ?? [];

    internal string Text => (string?)result ?? "";

    internal long Number => (long)result;

    internal bool IsNull => result.IsNull;
}
