using System.Net;
using System.Security.Authentication;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// The one file that calls StackExchange.Redis, by members that 2.13.23 and later share: a program may bring any of these versions.

internal sealed class RedisClient : IAsyncDisposable
{
    private readonly IConnectionMultiplexer _multiplexer;
    private readonly bool _owned;
    private readonly TimeSpan _timeout;
    private readonly IDatabase _database;
    private const long CheckEveryMilliseconds = 60_000;
    private const long RediscoverEveryMilliseconds = 1_000;

    private readonly Lock _lock = new();
    private volatile RouteWarning[] _warnings = [];
    private Task? _checking;
    private long _checkedAt = Environment.TickCount64;
    private long _rediscoveredAt;
    private volatile string? _failure;
    private volatile string? _readOnly;
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
        _database = multiplexer.GetDatabase();
        multiplexer.ConnectionFailed += OnFailed;
        multiplexer.ConnectionRestored += OnRestored;
    }

    /// <summary>On what thread queues show that they live.</summary>
    internal HeartbeatThread Heartbeats { get; }

    /// <summary>Raised after a connection came back: what was said to sleepers meanwhile is lost.</summary>
    internal event Action? Restored;

    private string RefusesPassword => $"{Servers} rejects the password, or requires one; set password= in the configuration";

    private string Servers => string.Join(", ", _multiplexer.GetEndPoints().Select(static e => e.ToString()));

    /// <summary>Why the server cannot be reached; <see langword="null"/> while it can.</summary>
    internal string? Error => _multiplexer.IsConnected ? _readOnly : _failure ?? $"not connected to {Servers}";

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
            try
            {
                RedisReply reply = new(await WithinTimeoutAsync(_database.ExecuteAsync("EVALSHA", all)).ConfigureAwait(false));
                NoteReadOnly(null);
                return reply;
            }
            catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                // A server that was restarted, or has never seen the script: it did not run.
                all[0] = script.Text;
                return new RedisReply(await WithinTimeoutAsync(_database.ExecuteAsync("EVAL", all)).ConfigureAwait(false));
            }
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
            bool cluster = _multiplexer.GetEndPoints().Any(e => _multiplexer.GetServer(e).ServerType == ServerType.Cluster);
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

    /// <summary>Finds the keys that match a pattern, on every master of a cluster. Reads each key, some at a time.</summary>
    internal async Task<HashSet<string>> FindKeysAsync(string pattern, CancellationToken cancellationToken)
    {
        HashSet<string> found = [];
        IServer[] masters = [.. _multiplexer.GetEndPoints().Select(e => _multiplexer.GetServer(e))
            .Where(static s => s is { IsConnected: true, IsReplica: false, ServerType: ServerType.Cluster })];
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

    /// <summary>What was found when the servers were last looked at.</summary>
    internal IReadOnlyList<RouteWarning> Warnings => _warnings;

    /// <summary>Whether the last look was some time ago: memory fills, and replicas fall behind.</summary>
    internal bool IsCheckDue => Environment.TickCount64 - Volatile.Read(ref _checkedAt) > CheckEveryMilliseconds;

    /// <summary>Looks at what the servers' configuration and state may cost. One look at a time.</summary>
    internal Task CheckServersAsync(RedisRouteOptions options, bool again)
    {
        lock (_lock)
        {
            if (_checking is { } before && (!again || !before.IsCompleted)) return before;
            Volatile.Write(ref _checkedAt, Environment.TickCount64);
            return _checking = CheckAsync(options);
        }
    }

    private async Task CheckAsync(RedisRouteOptions options)
    {
        IServer[] connected = [.. _multiplexer.GetEndPoints().Select(e => _multiplexer.GetServer(e)).Where(static s => s.IsConnected)];
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
            found.AddRange(ServerFindings.Of($"{server.EndPoint}", info, save, cluster, options.MinReplicas));
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
        catch (Exception e) when (Translate(e) is not null || e is RedisCommandException)
        {
            return null; // Not allowed, or not there any more: not known.
        }
    }

    private async Task<T> WithinTimeoutAsync<T>(Task<T> command, CancellationToken cancellationToken = default)
    {
        try
        {
            return await command.WaitAsync(_timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!command.IsCompleted)
        {
            _ = NoteReasonAsync(command);
            throw;
        }
    }

    // A program's own connection keeps a command for a while in the hope of a connection, and gives its reason later than is waited for.
    private async Task NoteReasonAsync(Task command)
    {
        try
        {
            await command.ConfigureAwait(false);
        }
        catch (Exception e) when (Translate(e) is not null)
        {
            // The reason is noted.
        }
    }

    private RedisUnavailableException? Translate(Exception e) => e switch
    {
        RedisServerException server => OfServer(server),
        RedisConnectionException connection => OfConnection(connection),
        RedisTimeoutException or ObjectDisposedException or OperationCanceledException
            => new RedisUnavailableException(Error ?? e.Message, e),
        TimeoutException => new RedisUnavailableException($"no answer from {Servers} within {_timeout.TotalSeconds:0.###} s", e),
        _ => null,
    };

    // The events of the first attempt were raised before there was anyone to handle them; a command that fails repeats its reason.
    private Task FindReasonAsync() => NoteReasonAsync(_database.PingAsync());

    // After a fail-over the client looks for the new master within a minute: too late for tasks that wait.
    private void Rediscover()
    {
        long now = Environment.TickCount64, before = Volatile.Read(ref _rediscoveredAt);
        if (now - before < RediscoverEveryMilliseconds || Interlocked.CompareExchange(ref _rediscoveredAt, now, before) != before) return;
        _multiplexer.ConfigureAsync().ContinueWith(static done => _ = done.Exception, TaskScheduler.Default);
    }

    private RedisUnavailableException OfConnection(RedisConnectionException e)
    {
        if (_multiplexer.IsConnected) Rediscover();
        if (!_multiplexer.IsConnected && ReasonOf(e) is { } reason) _failure = reason;
        return new RedisUnavailableException(Error ?? e.Message, e);
    }

    // The client says AuthenticationFailure of a TLS handshake, of a missing permission and of a refused password alike.
    // Only the server's own words, somewhere down the chain, tell which.
    private string? ReasonOf(Exception? e)
    {
        for (Exception? at = e; at is not null; at = at.InnerException)
        {
            if (at is AuthenticationException) return $"the TLS handshake with {Servers} failed: {at.Message}";
            if (IsOfPassword(at.Message)) return RefusesPassword;
        }

        return null;
    }

    private static bool IsOfPassword(string said)
        => said.Contains("NOAUTH", StringComparison.Ordinal) || said.Contains("WRONGPASS", StringComparison.Ordinal);

    // A replica answers, and takes nothing: the same as no server, until one of the next heartbeats gets through.
    private void NoteReadOnly(string? error)
    {
        if (_readOnly == error) return;
        _readOnly = error;
        Change();
    }

    private RedisUnavailableException OfServer(RedisServerException e)
    {
        if (e.Message.StartsWith("READONLY", StringComparison.Ordinal))
        {
            Rediscover();
            NoteReadOnly($"{Servers} is a replica and accepts no tasks ({e.Message}); waits for it to become the master, or for another");
        }

        return RedisUnavailableException.OfServer(e.Message, e, IsOfPassword(e.Message.Split(' ', 2)[0]) ? RefusesPassword : null);
    }

    private void OnFailed(object? sender, ConnectionFailedEventArgs e)
    {
        _failure = ReasonOf(e.Exception) ?? $"{e.EndPoint}: {e.FailureType}";
        Change();
    }

    private void OnRestored(object? sender, ConnectionFailedEventArgs e)
    {
        _failure = null;
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
