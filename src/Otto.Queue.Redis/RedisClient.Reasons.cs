using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using StackExchange.Redis;

namespace Otto.Queue.Redis;

// Why the server cannot be used: what the client says of it, what the server says, and that it says nothing.

internal sealed partial class RedisClient
{
    private const long RediscoverEveryMilliseconds = 1_000;
    private const long RefusedAgainMilliseconds = 5_000;

    private static readonly TimeSpan ListenPause = TimeSpan.FromMilliseconds(500);

    private long _rediscoveredAt;
    private long _askedAt;
    private volatile string? _failure;
    private volatile string? _refusal;
    private volatile string? _readOnly;
    private volatile string? _silence;
    private int _listening;

    private string RefusesPassword(string said)
        => $"{Servers} rejects the password, or requires one ({WordsOf(said)}); set password= in the configuration";

    private string Servers => string.Join(", ", _multiplexer.GetEndPoints().Select(NameOf));

    /// <summary>A server's address as a configuration has it.</summary>
    internal static string NameOf(EndPoint? server) => server is DnsEndPoint name ? $"{name.Host}:{name.Port}" : $"{server}";

    // The client adds its own state and advice for its programmers, and the server the place in the script.
    private static string WordsOf(string said) => said.Split(". ", 2)[0].TrimEnd('.');

    /// <summary>Why the server cannot be reached; <see langword="null"/> while it can.</summary>
    internal string? Error
        => _multiplexer.IsConnected ? _readOnly ?? _silence : _refusal ?? _failure ?? $"not connected to {Servers}";

    private RedisUnavailableException? Translate(Exception e) => e switch
    {
        RedisServerException server => OfServer(server),
        RedisConnectionException connection => OfConnection(connection),
        RedisTimeoutException or ObjectDisposedException or OperationCanceledException
            => new RedisUnavailableException(Error ?? e.Message, e),
        TimeoutException => new RedisUnavailableException($"no answer from {Servers} within {_timeout.TotalSeconds:0.###} s", e),
        // The client's own trouble with a connection that breaks while it reads.
        InvalidOperationException or IOException or SocketException
            => new RedisUnavailableException($"the connection to {Servers} broke: {e.Message}", e),
        _ => null,
    };

    // The events of the first attempt were raised before there was anyone to handle them; a command that fails repeats its reason.
    private Task FindReasonAsync() => NoteReasonAsync(_database.PingAsync());

    // After a fail-over the client looks for the new master within a minute: too late for tasks that wait.
    private void Rediscover()
    {
        if (!IsTime(ref _rediscoveredAt, RediscoverEveryMilliseconds)) return;
        _multiplexer.ConfigureAsync().ContinueWith(static done => _ = done.Exception, TaskScheduler.Default);
    }

    // For one of those who ask at once.
    private static bool IsTime(ref long last, long every)
    {
        long now = Environment.TickCount64, before = Volatile.Read(ref last);
        return now - before >= every && Interlocked.CompareExchange(ref last, now, before) == before;
    }

    private RedisUnavailableException OfConnection(RedisConnectionException e)
    {
        if (_multiplexer.IsConnected) Rediscover();
        else
        {
            NoteFailure(ReasonOf(e));
            _ = AskForRefusalAsync();
        }

        return new RedisUnavailableException(Error ?? e.Message, e);
    }

    // The client says AuthenticationFailure of a TLS handshake, of a missing permission and of a refused password alike.
    // Only the server's own words, somewhere down the chain, tell which.
    private string? ReasonOf(Exception? e)
    {
        for (Exception? at = e; at is not null; at = at.InnerException)
        {
            if (at is AuthenticationException) return $"the TLS handshake with {Servers} failed: {at.Message}";
            if (OfPassword(at.Message) is { } said) return _refusal = RefusesPassword(said);
        }

        return null;
    }

    private static string? OfPassword(string said)
        => Math.Max(said.IndexOf("NOAUTH", StringComparison.Ordinal), said.IndexOf("WRONGPASS", StringComparison.Ordinal))
            is >= 0 and int at ? said[at..] : null;

    private void NoteFailure(string? reason)
    {
        if (reason is not null) _failure = reason;
    }

    // Where a password changed meanwhile, the client comes back again and again and says little of why it fails. The server says it.
    private async Task AskForRefusalAsync()
    {
        if (!IsTime(ref _askedAt, _refusal is null ? RediscoverEveryMilliseconds : RefusedAgainMilliseconds)) return;
        EndPoint[] servers = _multiplexer.GetEndPoints();
        string? said = await Task.Run(() => servers.Select(s => DirectConnection.FindRefusal(s, _options, _timeout))
            .FirstOrDefault(static r => r is not null)).ConfigureAwait(false);
        _refusal = said is null || _multiplexer.IsConnected ? null : RefusesPassword(said);
        Change();
    }

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
            NoteReadOnly($"{Servers} is a replica and accepts no tasks ({WordsOf(e.Message)}); waits for it to become the master, or for "
                + "another");
        }

        return RedisUnavailableException.OfServer(e.Message, e,
            OfPassword(e.Message) is { } said ? RefusesPassword(said) : null);
    }

    // A server that hangs keeps its connections. It counts as unavailable until it answers anything.
    private void NoteSilence()
    {
        _silence = $"no answer from {Servers} within {_timeout.TotalSeconds:0.###} s";
        Change();
        Rediscover(); // Another may have its place: the connection to a machine that is gone stays open for long.
        if (Interlocked.Exchange(ref _listening, 1) == 0) _ = ListenForAnswerAsync();
    }

    private async Task ListenForAnswerAsync()
    {
        do
        {
            while (_silence is not null && !_closed)
            {
                Task pause = Task.Delay(ListenPause);
                await NoteReasonAsync(_database.PingAsync()).ConfigureAwait(false);
                if (_silence is not null) await pause.ConfigureAwait(false);
            }

            Volatile.Write(ref _listening, 0);
        }
        while (_silence is not null && !_closed && Interlocked.Exchange(ref _listening, 1) == 0);
    }

    private void NoteAnswer()
    {
        _refusal = null;
        if (_silence is null) return;
        _silence = null;
        Change();
    }

    // A program's own connection keeps a command for a while in the hope of a connection, and gives its reason later than is waited for.
    private async Task NoteReasonAsync(Task command)
    {
        try
        {
            await command.ConfigureAwait(false);
            NoteAnswer();
        }
        catch (Exception e) when (Translate(e) is not null)
        {
            // The reason is noted.
        }
    }
}
