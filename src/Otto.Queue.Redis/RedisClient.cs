using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// The one file that speaks to StackExchange.Redis, by members that its versions 1.2.6, 2 and 3 share: a program may bring any of them.

internal sealed class RedisClient : IAsyncDisposable
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(500);
    private readonly IConnectionMultiplexer _multiplexer;
    private readonly bool _owned;
    private readonly TimeSpan _timeout;
    private readonly IDatabase _database;
    private volatile string? _failure;
    private volatile TaskCompletionSource _change = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal RedisClient(IConnectionMultiplexer multiplexer, bool owned, TimeSpan timeout)
    {
        _multiplexer = multiplexer;
        _owned = owned;
        _timeout = timeout;
        _database = multiplexer.GetDatabase();
        multiplexer.ConnectionFailed += OnFailed;
        multiplexer.ConnectionRestored += OnRestored;
    }

    /// <summary>Raised after a connection came back: what was said to sleepers meanwhile is lost.</summary>
    internal event Action? Restored;

    private string RefusesPassword => $"{Servers} refuses the password, or asks for one; set password= in the configuration";

    private string Servers => string.Join(", ", _multiplexer.GetEndPoints().Select(static e => e.ToString()));

    /// <summary>Why the server cannot be reached; <see langword="null"/> while it can.</summary>
    internal string? Trouble => _multiplexer.IsConnected ? null : _failure ?? $"not connected to {Servers}";

    internal static async Task<RedisClient> ConnectAsync(string configuration, TimeSpan timeout)
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(configuration);
        // Riding out a server that is not there yet is the same as riding out one that went away.
        options.AbortOnConnectFail = false;
        if (string.IsNullOrEmpty(options.ClientName)) options.ClientName = $"otto-{Environment.ProcessId}";
        var client = new RedisClient(await Apart(ConnectionMultiplexer.ConnectAsync(options)).ConfigureAwait(false), owned: true, timeout);
        if (client.Trouble is not null) await client.AskWhyAsync().ConfigureAwait(false);
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
        arguments.CopyTo(all, 2 + keys.Length);
        try
        {
            try
            {
                return new RedisReply(await Apart(_database.ExecuteAsync("EVALSHA", all)).WaitAsync(_timeout).ConfigureAwait(false));
            }
            catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                // A server that was restarted, or has never seen the script: it did not run.
                all[0] = script.Text;
                return new RedisReply(await Apart(_database.ExecuteAsync("EVAL", all)).WaitAsync(_timeout).ConfigureAwait(false));
            }
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }
    }

    /// <summary>Finds the keys that match a pattern: a look at each key of the server, some at a time.</summary>
    internal async Task<HashSet<string>> FindKeysAsync(string pattern, CancellationToken cancellationToken)
    {
        HashSet<string> found = [];
        try
        {
            string cursor = "0";
            do
            {
                RedisReply[] page = new RedisReply(await Apart(_database.ExecuteAsync("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")).WaitAsync(_timeout, cancellationToken).ConfigureAwait(false)).Items;
                foreach (RedisReply key in page[1].Items) found.Add(key.Text);
                cursor = page[0].Text;
            }
            while (cursor != "0");
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && Translate(e) is { } trouble)
        {
            throw trouble;
        }

        return found;
    }

    /// <summary>Listens to a channel; restored by itself after a lost connection.</summary>
    /// <returns>Ends the listening.</returns>
    internal async Task<Func<Task>> SubscribeAsync(string channel, Action<byte[]> heard)
    {
        Action<RedisChannel, RedisValue> handler = (_, message) => heard((byte[]?)message ?? []);
        ISubscriber subscriber = _multiplexer.GetSubscriber();
        try
        {
            await Apart(subscriber.SubscribeAsync(Literal(channel), handler)).WaitAsync(_timeout).ConfigureAwait(false);
        }
        catch (Exception e) when (Translate(e) is { } trouble)
        {
            throw trouble;
        }

        return async () =>
        {
            try
            {
                await subscriber.UnsubscribeAsync(Literal(channel), handler).WaitAsync(_timeout).ConfigureAwait(false);
            }
            catch (Exception e) when (Translate(e) is not null)
            {
                // Nobody hears anything any more, which is what was wanted.
            }
        };
    }

    // The client completes its answers one after the other on one thread, and what awaits them would go on there: a program that then blocks, for once or for long,
    // would keep every further answer from everybody. So what awaits goes on elsewhere.
    private static Task<T> Apart<T>(Task<T> task)
        => task.ContinueWith(static t => t, CancellationToken.None, TaskContinuationOptions.DenyChildAttach, TaskScheduler.Default).Unwrap();

    private static Task Apart(Task task)
        => task.ContinueWith(static t => t, CancellationToken.None, TaskContinuationOptions.DenyChildAttach, TaskScheduler.Default).Unwrap();

    private static RedisChannel Literal(string channel) => new(channel, RedisChannel.PatternMode.Literal);

    private RedisUnavailableException? Translate(Exception e) => e switch
    {
        RedisServerException server => OfServer(server),
        RedisConnectionException connection => OfConnection(connection),
        RedisTimeoutException or ObjectDisposedException or OperationCanceledException
            => new RedisUnavailableException(Trouble ?? e.Message, e),
        TimeoutException => new RedisUnavailableException($"no answer from {Servers} within {_timeout.TotalSeconds:0.###} s", e),
        _ => null,
    };

    // A refused password does not pass by itself, and the client tells it only with a command that failed. Newer clients keep commands for a while
    // in the hope of a connection; so long it is not waited.
    private async Task AskWhyAsync()
    {
        try
        {
            await Apart(_database.PingAsync()).WaitAsync(Moment).ConfigureAwait(false);
        }
        catch (Exception e) when (Translate(e) is not null)
        {
            // It is known now, as far as it can be.
        }
    }

    private RedisUnavailableException OfConnection(RedisConnectionException e)
    {
        string said = $"{e.Message} {e.InnerException?.Message}";
        if (!_multiplexer.IsConnected && !IsOfCertificate(e) && ((string[])["NOAUTH", "WRONGPASS", "invalid password", "AuthenticationFailure"]).Any(word => said.Contains(word, StringComparison.Ordinal))) _failure = RefusesPassword;
        return new RedisUnavailableException(Trouble ?? e.Message, e);
    }

    // A handshake that fails is told by the same word as a password.
    private static bool IsOfCertificate(Exception? e) => e is not null && (e is System.Security.Authentication.AuthenticationException || IsOfCertificate(e.InnerException));

    private static RedisUnavailableException OfServer(RedisServerException e)
    {
        string code = e.Message.Split(' ', 2)[0];
        return new RedisUnavailableException($"Redis said: {e.Message}", e)
        {
            OutOfMemory = e.Message.Contains("OOM ", StringComparison.Ordinal),
            // These pass by themselves; any other error would come again.
            Refused = code is not ("LOADING" or "OOM" or "READONLY" or "MASTERDOWN" or "CLUSTERDOWN" or "TRYAGAIN" or "BUSY" or "NOREPLICAS" or "NOSCRIPT") && !e.Message.Contains("OOM ", StringComparison.Ordinal),
        };
    }

    private void OnFailed(object? sender, ConnectionFailedEventArgs e)
    {
        _failure = e.FailureType == ConnectionFailureType.AuthenticationFailure && !IsOfCertificate(e.Exception) ? RefusesPassword : $"{e.EndPoint}: {e.FailureType}";
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
        // Commands still on their way are not waited for: whoever needs their answer has it already.
        if (_owned) await Task.Run(() => _multiplexer.Close(allowCommandsToComplete: false)).ConfigureAwait(false);
    }
}

/// <summary>A script and the hash by which the server remembers it.</summary>
internal sealed class RedisScript(string text)
{
    internal string Text { get; } = text;

    internal string Hash { get; } = Convert.ToHexStringLower(Sha1(text));

    // The server names scripts by SHA-1; nothing is kept safe by it.
#pragma warning disable CA5350
    private static byte[] Sha1(string text) => SHA1.HashData(Encoding.UTF8.GetBytes(text));
#pragma warning restore CA5350
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
