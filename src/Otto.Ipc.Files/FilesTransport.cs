using Otto.Ipc.Endpoints;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Queues;
using Otto.Ipc.Files.Stores;
using Otto.Ipc.Files.Streams;

namespace Otto.Ipc.Files;

// The door to files: a name in, a store, an end of a stream or a queue out.

/// <summary>Files as a transport: what <c>cat</c>, <c>jq</c> and <c>flock</c> can read and join.</summary>
/// <remarks>
/// <para>Everything is stored below one directory, see <see cref="FilesTransportOptions.Directory"/>, in the formats
/// that <c>docs/files.md</c> describes: stores in <c>tasks/&lt;task&gt;/output.&lt;task&gt;.json</c>, streams in
/// <c>streams/&lt;name&gt;/</c>, queues in <c>queues/&lt;name&gt;/</c>.</para>
/// <para>Files are 0600 in directories of 0700. Nothing is deleted when an end is disposed.</para>
/// </remarks>
public sealed class FilesTransport : IStoreTransport, IStreamTransport, IQueueTransport
{
    private readonly FilesTransportOptions _options;
    private readonly string _root;

    /// <summary>Makes the transport; nothing is opened or made yet.</summary>
    /// <param name="options">Where the files live and how they are written; left out, the defaults.</param>
    /// <exception cref="ArgumentException">An option is outside its limits; the message has the numbers.</exception>
    public FilesTransport(FilesTransportOptions? options = null)
    {
        _options = options ?? new FilesTransportOptions();
        _options.Validate();
        _root = RootDirectory.PathOf(_options.Directory);
    }

    /// <inheritdoc/>
    public string Name => "files";

    /// <inheritdoc/>
    public TransportTraits Traits { get; } = new(
        Speed: TransportSpeed.Fast,
        Streaming: TransportSupport.Yes,
        Persistent: TransportPersistence.Disk,
        Debuggable: TransportEase.Easy,
        ShellFriendly: TransportEase.Easy,
        Bidirectional: false,
        SetUp: TransportLevel.Low,
        Overhead: TransportLevel.Medium,
        MaxMessageBytes: FilesQueueOptions.MostMessageBytes,
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <summary>The directory of the run.</summary>
    public string Directory => _root;

    /// <summary>Opens a task's store; its file is made by the first change.</summary>
    /// <param name="name">The task.</param>
    /// <returns>The store, for any number of threads.</returns>
    /// <exception cref="UnauthorizedAccessException">A directory is a link, or not this user's alone.</exception>
    public IKeyValueStore OpenStore(ChannelName name) => new JsonStore(RootDirectory.Ensure(_root, "tasks", name.Value), name, _options);

    /// <summary>Opens a stream's sending end, and creates the stream if it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Sizes; left out, the stream's own or the defaults.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <exception cref="ArgumentException">
    /// The stream exists with other sizes, or they do not fit together; the message has the numbers.
    /// </exception>
    /// <exception cref="CorruptSegmentException">
    /// A file of the stream fails a check. The message describes the problem.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">
    /// A file or directory is a link, or not this user's alone.
    /// </exception>
    /// <exception cref="IOException">The stream has all the live senders it can have.</exception>
    public MessageSender OpenSender(ChannelName name, FilesStreamOptions? options = null)
    {
        string stream = OpenStream(name, options, out StreamNumbers numbers);
        return new LogSender(RootDirectory.Ensure(stream, "lanes"), numbers, _options);
    }

    /// <summary>Opens a stream's receiving end, and creates the stream if it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Sizes; left out, the stream's own or the defaults.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <exception cref="ArgumentException">
    /// The stream exists with other sizes, or they do not fit together; the message has the numbers.
    /// </exception>
    /// <exception cref="CorruptSegmentException">
    /// A file of the stream fails a check. The message describes the problem.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">
    /// A file or directory is a link, or not this user's alone.
    /// </exception>
    /// <exception cref="IOException">The stream has a live receiver.</exception>
    public MessageReceiver OpenReceiver(ChannelName name, FilesStreamOptions? options = null)
    {
        string stream = OpenStream(name, options, out StreamNumbers numbers);
        return new LogReceiver(stream, RootDirectory.Ensure(stream, "lanes"), numbers, _options);
    }

    /// <summary>Opens a work queue, and creates it if it does not exist.</summary>
    /// <param name="name">Which queue.</param>
    /// <param name="options">Sizes and limits; left out, the queue's own or the defaults.</param>
    /// <returns>
    /// A handle that sends and leases, for any number of threads. It lends no blocks: <see cref="WorkQueue.TryLoan"/>
    /// is refused.
    /// </returns>
    /// <exception cref="ArgumentException">The queue exists with other sizes; the message has the numbers.</exception>
    /// <exception cref="CorruptSegmentException">A file of the queue fails a check. The message describes the
    /// problem.</exception>
    /// <exception cref="UnauthorizedAccessException">
    /// A file or directory is a link, or not this user's alone.
    /// </exception>
    public WorkQueue OpenQueue(ChannelName name, FilesQueueOptions? options = null)
    {
        string queue = RootDirectory.Ensure(_root, "queues", name.Value);
        return new DirectoryQueue(queue, name, (options ?? new FilesQueueOptions()).Resolve(Path.Combine(queue, "queue.json")), _options);
    }

    /// <summary>Opens what <see cref="OpenStore"/> opens, with the same exceptions.</summary>
    /// <param name="name">The store's name.</param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The store, for any number of threads. Completes at once.</returns>
    public ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenStore(name), cancellationToken);

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
        ChannelName name, FilesStreamOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenSender(name, options), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<MessageReceiver> OpenReceiverAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        OpenReceiverAsync(name, null, cancellationToken);

    /// <summary>Opens what <see cref="OpenReceiver"/> opens, with the same exceptions.</summary>
    /// <param name="name">The stream's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenReceiver</c> uses without any.
    /// </param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The end, for one thread at a time. Completes at once.</returns>
    public ValueTask<MessageReceiver> OpenReceiverAsync(
        ChannelName name, FilesStreamOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenReceiver(name, options), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<WorkQueue> OpenQueueAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        OpenQueueAsync(name, null, cancellationToken);

    /// <summary>Opens what <see cref="OpenQueue"/> opens, with the same exceptions.</summary>
    /// <param name="name">The queue's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenQueue</c> uses without any.
    /// </param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The handle, for any number of threads. Completes at once.</returns>
    public ValueTask<WorkQueue> OpenQueueAsync(
        ChannelName name, FilesQueueOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenQueue(name, options), cancellationToken);

    private string OpenStream(ChannelName name, FilesStreamOptions? options, out StreamNumbers numbers)
    {
        string stream = RootDirectory.Ensure(_root, "streams", name.Value);
        numbers = (options ?? new FilesStreamOptions()).Resolve(Path.Combine(stream, "stream.json"));
        return stream;
    }

    /// <summary>Does nothing: each end is its opener's to dispose.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync() => default;
}
