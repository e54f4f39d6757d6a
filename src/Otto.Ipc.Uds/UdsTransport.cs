using Otto.Ipc.Uds.Clients;

namespace Otto.Ipc.Uds;

// The door to the server of sockets, and to streams that need none: a name in, an end of a shape out.

/// <summary>Unix-domain sockets as a transport: stores and topics over a <see cref="UdsServer"/>.</summary>
/// <remarks>
/// <para>A store's keys stand on the server as <c>name.key</c>, as shell scripts write them. Names may have dots, so that a store named <c>a</c> also shows
/// what one named <c>a.b</c> holds, as keys that begin with <c>b.</c>: choose names of which none is another's beginning.</para>
/// <para>A topic keeps nothing for those who come later: <see cref="StartAt.Oldest"/> is not offered. What is lost is counted for the topic, not for each publisher.</para>
/// <para>Needs Linux on x64 or arm64 (arm64 is untested). Only processes of one user, and root, reach each other.</para>
/// </remarks>
public sealed class UdsTransport : IStoreTransport, ITopicTransport
{
    private readonly SharedClient _shared;
    private int _disposed;

    /// <summary>Makes the transport; nothing is connected yet.</summary>
    /// <param name="options">Where the server is; left out, the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range; the message has the numbers.</exception>
    public UdsTransport(UdsTransportOptions? options = null) => _shared = new SharedClient(options ?? new UdsTransportOptions());

    /// <inheritdoc/>
    public string Name => "uds";

    /// <inheritdoc/>
    public TransportTraits Traits { get; } = new(
        Speed: SpeedClass.Fast,
        Streaming: Support.Yes,
        Persistent: Persistence.None,
        Debuggable: Ease.Medium,
        ShellFriendly: Ease.Medium,
        Bidirectional: true,
        SetUp: Level.Medium,
        Overhead: Level.Medium,
        MaxMessageBytes: UdsServerOptions.MostValueBytes,
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <inheritdoc/>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellation = default)
    {
        _ = name.Value;
        SharedClient shared = Use();
        try
        {
            return new UdsStore(shared, name, await shared.Client.MaxValueBytesAsync(cancellation).ConfigureAwait(false));
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// What was published is with the server a moment later, in the order of all publishers of this transport. Where the connection was lost with messages on
    /// their way, the next call throws an <see cref="IOException"/>: they may have been heard by nobody.
    /// </remarks>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellation = default)
    {
        _ = name.Value;
        SharedClient shared = Use();
        try
        {
            return new UdsPublisher(shared, name, await shared.Client.MaxValueBytesAsync(cancellation).ConfigureAwait(false));
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A lost connection is made again, and told of by a <see cref="SubscriberEjectedException"/> once: how much was published meanwhile is not known.
    /// </remarks>
    /// <exception cref="NotSupportedException">It was to start at the oldest message: the server keeps none.</exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartAt startAt = StartAt.Now, CancellationToken cancellation = default)
    {
        _ = name.Value;
        if (startAt != StartAt.Now) throw new NotSupportedException("the server of sockets keeps no messages; start at now, or use the mmap transport");
        SharedClient shared = Use();
        try
        {
            return await UdsSubscriber.OpenAsync(shared, name, cancellation).ConfigureAwait(false);
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <summary>Opens nothing any more. What was opened goes on: each end is its opener's to dispose.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0) _shared.Release();
        return default;
    }

    private SharedClient Use()
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _shared.Use();
    }
}
