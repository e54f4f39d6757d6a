using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Text.Json;
using Otto.Ipc.Uds.Clients;
using Otto.Ipc.Uds.Listening;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds;

// The protocol as methods. Keys are the server's own, as shells see them; a store of a transport is this with a prefix.

/// <summary>A client of the server of sockets: keys, topics and progress, over one
/// connection that is made again when it was lost.</summary>
/// <remarks>
/// <para>Safe for any number of threads; what they ask at the same time goes out together.
/// A cancelled call stops waiting; its command may be run nevertheless.</para>
/// <para>
/// If the connection is lost, a command that only reads is sent again on a new connection. A command that changes
/// something fails with an <see cref="IOException"/> if it was sent before. The message indicates that it is not known
/// whether the server ran the command.
/// </para>
/// </remarks>
public sealed class UdsClient : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5), Farewell = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _connecting = new(1);
    private readonly string _path;
    private volatile WireConnection? _connection;
    private volatile bool _disposed;

    /// <summary>Makes a client; nothing is connected yet.</summary>
    /// <param name="options">Where the server is; left out, the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range; the message has the numbers.</exception>
    public UdsClient(UdsTransportOptions? options = null)
    {
        Options = options ?? new UdsTransportOptions();
        Options.Validate();
        _path = SocketPaths.PathOf(Options.SocketPath);
    }

    /// <summary>The server's socket.</summary>
    public string SocketPath => _path;

    internal UdsTransportOptions Options { get; }

    /// <summary>Reads a value.</summary>
    /// <param name="key">Which one.</param>
    /// <param name="cancellationToken">Gives up waiting for it.</param>
    /// <returns>The value; <see langword="null"/> if there is no such key.</returns>
    /// <exception cref="ArgumentException">The key is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken = default)
    {
        WireAnswer answer = await ReadAsync(WireCommand.Get, Key(key), cancellationToken).ConfigureAwait(false);
        return answer.Status == WireStatus.NotFound ? default(ReadOnlyMemory<byte>?) : new ReadOnlyMemory<byte>(answer.Payload);
    }

    /// <summary>Sets a value.</summary>
    /// <param name="key">Which one.</param>
    /// <param name="value">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Gives up waiting; the value may have been set nevertheless.</param>
    /// <returns>Completes when every reader sees it.</returns>
    /// <exception cref="ArgumentException">The key is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerRefusedException">The value exceeds the server's limits; the
    /// message has the numbers.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default) =>
        await WriteAsync(WireCommand.Set, Key(key), value, isNamed: true, cancellationToken).ConfigureAwait(false);

    /// <summary>Removes a key.</summary>
    /// <param name="key">Which one.</param>
    /// <param name="cancellationToken">Gives up waiting; the key may be gone nevertheless.</param>
    /// <returns>
    /// <see langword="true"/> if the key was removed; <see langword="false"/> if there was no such key.
    /// </returns>
    /// <exception cref="ArgumentException">The key is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        (await WriteAsync(WireCommand.Delete, Key(key), default, isNamed: false, cancellationToken).ConfigureAwait(false)).Status
        == WireStatus.Ok;

    /// <summary>Lists keys.</summary>
    /// <param name="pattern">Which ones, as <see cref="KeyPattern"/> understands it.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The keys in ordinal order.</returns>
    /// <exception cref="ArgumentException">The pattern is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<IReadOnlyList<string>> ListAsync(string pattern = "*", CancellationToken cancellationToken = default)
    {
        WireAnswer answer = await ReadAsync(WireCommand.List, Pattern(pattern), cancellationToken).ConfigureAwait(false);
        List<string> keys = Keys(answer.Payload);
        keys.Sort(StringComparer.Ordinal);
        return keys;
    }

    /// <summary>Watches keys from now on, over a connection of its own.</summary>
    /// <param name="pattern">Which ones.</param>
    /// <param name="snapshot">Whether the values of now come first.</param>
    /// <param name="cancellationToken">Gives up waiting for the watch to become active.</param>
    /// <returns>The active watch. It reports every change from now on. Dispose it to end it.</returns>
    /// <exception cref="ArgumentException">The pattern is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<IStoreWatch> WatchAsync(string pattern = "*", bool snapshot = false,
        CancellationToken cancellationToken = default) =>
        await StoreWatch.OpenAsync(this, Pattern(pattern), prefixLength: 0, snapshot, cancellationToken).ConfigureAwait(false);

    /// <summary>Publishes a message to the current subscribers of a topic.</summary>
    /// <param name="topic">Which one; what may be a key may be a topic.</param>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Gives up waiting; the message may be published nevertheless.</param>
    /// <returns>Completes when the server has it.</returns>
    /// <exception cref="ArgumentException">The topic's name is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerRefusedException">The message exceeds the server's limits;
    /// the message has the numbers.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask PublishAsync(string topic, ReadOnlyMemory<byte> message, CancellationToken cancellationToken = default) =>
        await WriteAsync(WireCommand.Publish, Key(topic), message, isNamed: true, cancellationToken).ConfigureAwait(false);

    /// <summary>Subscribes to the messages from now on, over a connection of its own.</summary>
    /// <param name="pattern">Of which topics.</param>
    /// <param name="cancellationToken">Gives up waiting for the subscription to become active.</param>
    /// <returns>The messages. Dispose it to end it.</returns>
    /// <exception cref="ArgumentException">The pattern is not valid. The message describes the reason.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<UdsSubscription> SubscribeAsync(string pattern, CancellationToken cancellationToken = default) =>
        await UdsSubscription.OpenAsync(this, Pattern(pattern), cancellationToken).ConfigureAwait(false);

    /// <summary>Reports the progress of a task. The server keeps it as the key <c>task.progress</c>.</summary>
    /// <param name="task">The task.</param>
    /// <param name="current">How much is done.</param>
    /// <param name="total">The total amount; <see langword="null"/> if it is not known.</param>
    /// <param name="text">What is being done, for people, on one line.</param>
    /// <param name="cancellationToken">Gives up waiting; the server may have it nevertheless.</param>
    /// <returns>Completes when the server has it. Watchers are notified within a tenth of a second.</returns>
    /// <exception cref="ArgumentException">The numbers are not finite, or the text has a line break.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask ProgressAsync(ChannelName task, double current, double? total = null, string? text = null,
        CancellationToken cancellationToken = default)
    {
        if (!double.IsFinite(current) || total is { } t && !double.IsFinite(t))
            throw new ArgumentException($"progress needs finite numbers: {current} of {total}");
        if (text is not null && text.AsSpan().IndexOfAny('\n', '\r') >= 0)
            throw new ArgumentException("the text of a progress report contains a line break; it must be one line", nameof(text));
        string arguments = string.Create(CultureInfo.InvariantCulture,
            $"{current:R} {(total is { } number ? number.ToString("R", CultureInfo.InvariantCulture) : "-")} {text}");
        await WriteAsync(WireCommand.Progress, Encoding.UTF8.GetBytes(task.Value), Encoding.UTF8.GetBytes(arguments), isNamed: true,
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gets the identity of the server.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>Name, version and limits, as one line of JSON.</returns>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<string> HelloAsync(CancellationToken cancellationToken = default) =>
        Encoding.UTF8.GetString((await ReadAsync(WireCommand.Hello, default, cancellationToken).ConfigureAwait(false)).Payload);

    /// <summary>
    /// Closes the connection. Calls in flight fail. Watches and subscriptions stay active until they are disposed.
    /// </summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        _connection?.Dispose();
        return default;
    }

    /// <summary>
    /// Accepts no more calls, and closes the connection once every call in flight was answered, or after a timeout.
    /// </summary>
    internal async Task CloseGentlyAsync()
    {
        _disposed = true;
        if (_connection is not { } connection) return;
        await connection.WhenAnsweredAsync(Farewell).ConfigureAwait(false);
        connection.Dispose();
    }

    /// <summary>The largest value that the server takes.</summary>
    internal async ValueTask<int> MaxValueBytesAsync(CancellationToken cancellationToken)
    {
        using var hello = JsonDocument.Parse(await HelloAsync(cancellationToken).ConfigureAwait(false));
        return hello.RootElement.GetProperty("limits").GetProperty("valueBytes").GetInt32();
    }

    /// <summary>The connection, made anew where it was lost.</summary>
    internal async ValueTask<WireConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_connection is { IsAlive: true } alive) return alive;
        await _connecting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_connection is not { IsAlive: true })
            {
                _connection?.Dispose();
                _connection = await WireConnection.OpenAsync(_path, Options, cancellationToken).ConfigureAwait(false);
            }

            // Disposed meanwhile: whoever disposed did not see this connection.
            if (_disposed) _connection.Dispose();
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _connection;
        }
        finally
        {
            _connecting.Release();
        }
    }

    internal WireConnection? Connection => _connection;

    internal static List<string> Keys(ReadOnlySpan<byte> payload)
    {
        List<string> keys = [];
        while (!payload.IsEmpty)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(payload);
            keys.Add(Encoding.UTF8.GetString(payload.Slice(2, length)));
            payload = payload[(2 + length)..];
        }

        return keys;
    }

    internal static byte[] Pattern(string pattern) => Encoding.UTF8.GetBytes(new KeyPattern(pattern, WireKey.MaxBytes).ToString());

    private static byte[] Key(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        if (WireKey.Describe(bytes) is { } problem) throw new ArgumentException(problem, nameof(key));
        return bytes;
    }

    private async ValueTask<WireAnswer> ReadAsync(WireCommand command, byte[]? name, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        for (bool again = false; ; again = true)
        {
            try
            {
                return await WriteAsync(command, name ?? [], default, isNamed: false, cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e) when (IsWorthAnother(start, again) && e is not (ServerNotFoundException or ServerRefusedException))
            {
                // Reading twice does no harm.
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask<WireAnswer> WriteAsync(WireCommand command, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> payload,
        bool isNamed, CancellationToken cancellationToken)
    {
        if (payload.Length > UdsServerOptions.MostValueBytes)
            throw new ArgumentException($"{payload.Length:N0} bytes exceed the protocol's limit of {UdsServerOptions.MostValueBytes:N0}",
                nameof(payload));
        long start = Stopwatch.GetTimestamp();
        for (bool again = false; ; again = true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            WireConnection connection = await ConnectAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                return (await connection.AskAsync(command, name, payload, isNamed, cancellationToken).ConfigureAwait(false)).Checked();
            }
            catch (ConnectionEndedException e)
            {
                // Nothing of it was sent. A server that is being killed still takes connections for a moment.
                if (!IsWorthAnother(start, again)) ExceptionDispatchInfo.Throw(e.InnerException!);
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    private bool IsWorthAnother(long start, bool again)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return !again || Stopwatch.GetElapsedTime(start) < Options.ConnectTimeout;
    }
}
