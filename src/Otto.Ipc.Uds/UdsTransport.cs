using Otto.Ipc.Endpoints;
using Otto.Ipc.Uds.Clients;
using Otto.Ipc.Uds.Streams;

namespace Otto.Ipc.Uds;

// The door to the server of sockets, and to streams that need none: a name in, an end of a shape out.

/// <summary>
/// Unix-domain sockets as a transport: stores and topics over a <see cref="UdsServer"/>, and streams from process to
/// process.
/// </summary>
/// <remarks>
/// <para>A stream needs no server: its receiver listens at <c>name.stream</c> beside the server's socket, and each
/// sender connects. A message is kept by its sender's process until it was read, so it is gone with that process, and
/// survives its receiver, whose successor gets it. A receiver that is killed may have read up to 64 messages of each
/// sender that its successor gets again. Between processes what was sent is there a moment later. Who completed or
/// ended before a receiver opened is known to it only as far as their messages had not been read.</para>
/// <para>A store's keys stand on the server as <c>name.key</c>, as shell scripts write them. Names may have dots, so
/// that a store named <c>a</c> also shows what one named <c>a.b</c> holds, as keys that
/// begin with <c>b.</c>: choose names of which none is another's beginning.</para>
/// <para>
/// A topic keeps no messages for later subscribers: <see cref="StartPosition.Oldest"/> is not offered. What is lost is
/// counted for the topic, not for each publisher.
/// </para>
/// <para>
/// Needs Linux on x64 or arm64 (arm64 is untested). Only processes of one user reach each other, and every process
/// reaches a server of root. See <see cref="UdsTransportOptions.AllowOtherOwner"/>.
/// </para>
/// </remarks>
public sealed class UdsTransport : IStreamTransport, IStoreTransport, ITopicTransport
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
        Speed: TransportSpeed.Fast,
        Streaming: TransportSupport.Yes,
        Persistent: TransportPersistence.None,
        Debuggable: TransportEase.Medium,
        ShellFriendly: TransportEase.Medium,
        Bidirectional: true,
        SetUp: TransportLevel.Medium,
        Overhead: TransportLevel.Medium,
        MaxMessageBytes: StreamWire.MaxMessage(UdsStreamOptions.MostCapacity),
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <summary>Where the server is looked for.</summary>
    public string SocketPath => _shared.Client.SocketPath;

    /// <summary>
    /// Opens a stream's sending end. The stream has a socket of its own, at which its receiver listens; no server is
    /// needed. If the sender cannot reach a receiver, for example because the process has no descriptors left or the
    /// path is not a socket, its next call or wait throws an <see cref="IOException"/> once. The sender continues to
    /// retry.
    /// </summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Sizes; left out, the defaults.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <exception cref="IOException">
    /// This process has all the senders of this stream it may have; the message has the numbers.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// An option is out of its range, or the socket's path would be too long; the message has the numbers.
    /// </exception>
    public MessageSender OpenSender(ChannelName name, UdsStreamOptions? options = null)
    {
        options ??= new UdsStreamOptions();
        options.Validate();
        return new StreamSender(StreamSocket.PathOf(_shared.Client.SocketPath, name), options, _shared.Client.Options.AllowOtherOwner);
    }

    /// <summary>Opens a stream's receiving end.</summary>
    /// <param name="name">Which stream.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <exception cref="SocketInUseException">
    /// The stream has a live receiver. The message names its process.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The directory is not safe, or not ours.</exception>
    /// <exception cref="ArgumentException">
    /// The socket's path would be too long; the message has the numbers.
    /// </exception>
    public MessageReceiver OpenReceiver(ChannelName name) =>
        new StreamReceiver(StreamSocket.PathOf(_shared.Client.SocketPath, name), _shared.Client.Options.AllowOtherOwner);

    /// <inheritdoc/>
    public ValueTask<MessageSender> OpenSenderAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        OpenSenderAsync(name, null, cancellationToken);

    /// <summary>Opens what <see cref="OpenSender"/> opens, with the same exceptions.</summary>
    /// <param name="name">The stream's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenSender</c> uses without any.
    /// </param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The end, for one thread at a time. Completes at once.</returns>
    public ValueTask<MessageSender> OpenSenderAsync(
        ChannelName name, UdsStreamOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenSender(name, options), cancellationToken);

    /// <summary>Opens what <see cref="OpenReceiver"/> opens, with the same exceptions.</summary>
    /// <param name="name">The stream's name.</param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The end, for one thread at a time. Completes at once.</returns>
    public ValueTask<MessageReceiver> OpenReceiverAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenReceiver(name), cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellationToken = default)
    {
        _ = name.Value;
        SharedClient shared = Use();
        try
        {
            return new UdsStore(shared, name, await shared.Client.MaxValueBytesAsync(cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// What was published is with the server a moment later, in the order of all publishers of this transport. If the
    /// connection was lost while messages were in flight, the next call throws an <see cref="IOException"/>: it is
    /// possible that no subscriber received them.
    /// </remarks>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default)
    {
        _ = name.Value;
        SharedClient shared = Use();
        try
        {
            return new UdsPublisher(shared, name, await shared.Client.MaxValueBytesAsync(cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A lost connection is replaced, and a <see cref="SubscriberDisconnectedException"/> reports it once: the number
    /// of messages published meanwhile is not known.
    /// </remarks>
    /// <exception cref="NotSupportedException">
    /// It was to start at the oldest message: the server keeps none.
    /// </exception>
    /// <exception cref="ServerNotFoundException">No server listens.</exception>
    public async ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now,
        CancellationToken cancellationToken = default)
    {
        _ = name.Value;
        if (startAt != StartPosition.Now)
            throw new NotSupportedException("the socket server keeps no messages; use StartPosition.Now, or the mmap transport");
        SharedClient shared = Use();
        try
        {
            return await UdsSubscriber.OpenAsync(shared, name, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            shared.Release();
            throw;
        }
    }

    /// <summary>
    /// Disposes the transport, which then opens no more ends. Ends that are open stay usable, and their owners dispose
    /// them.
    /// </summary>
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
