using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Stores;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap;

// The door to shared memory: a name and options in, an end of a shape out.

/// <summary>
/// Shared memory as a transport: streams, work queues, topics and stores between processes of one user on one
/// machine.
/// </summary>
/// <remarks>
/// What is sent lives in a file under <see cref="MmapTransportOptions.Directory"/> until the machine restarts,
/// whichever process dies. Nothing is deleted when an end is disposed; <see cref="RemoveStream"/>,
/// <see cref="RemoveQueue"/>, <see cref="RemoveTopic"/> and <see cref="RemoveStore"/> do that. Needs Linux on x64 or
/// arm64 (arm64 is untested), and a file system with locks and unnamed files, such as tmpfs. Truncating
/// a segment's file from outside is beyond what can be survived; replacing or deleting it is not.
/// </remarks>
public sealed class MmapTransport : IStreamTransport, IQueueTransport, ITopicTransport, IStoreTransport
{
    private readonly string? _directory;

    /// <summary>Makes the transport; nothing is opened yet.</summary>
    /// <param name="options">Where segments live; left out, the user's own directory in shared memory.</param>
    public MmapTransport(MmapTransportOptions? options = null) => _directory = options?.Directory;

    /// <summary>Whether shared memory works here. Where it does not, every call that opens
    /// something throws <see cref="PlatformNotSupportedException"/>.</summary>
    /// <remarks>
    /// It works on Linux on x64 and arm64. The AppContext switch
    /// <c>Otto.Ipc.Mmap.Disabled</c> turns it off, to see how a program fares without.
    /// </remarks>
    public static bool IsSupported => SegmentStore.IsSupported;

    /// <inheritdoc/>
    public string Name => "mmap";

    /// <inheritdoc/>
    public TransportTraits Traits { get; } = new(
        Speed: TransportSpeed.VeryFast,
        Streaming: TransportSupport.Yes,
        Persistent: TransportPersistence.UntilReboot,
        Debuggable: TransportEase.Hard,
        ShellFriendly: TransportEase.Hard,
        Bidirectional: false,
        SetUp: TransportLevel.Low,
        Overhead: TransportLevel.Low,
        MaxMessageBytes: (1L << 29) - RingLayout.FrameHeader,
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <summary>Opens a stream's sending end, and creates the stream if it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Sizes and waiting; left out, the stream's own or the defaults.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <remarks>
    /// The order of sending is kept for one handle. If a sender is disposed and opened again, the messages of the two
    /// handles have no order between them.
    /// </remarks>
    /// <exception cref="SegmentMismatchException">The stream exists with another size or version.</exception>
    /// <exception cref="CorruptSegmentException">The stream's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// The stream has all the live senders it can have, or there is no room for it; the message has the numbers.
    /// </exception>
    public MessageSender OpenSender(ChannelName name, MmapStreamOptions? options = null)
    {
        options ??= new MmapStreamOptions();
        options.Validate();
        return new RingSender(SegmentFile.OpenOrCreate(_directory, name, new StreamSpec(options)), options);
    }

    /// <summary>Opens a stream's receiving end, and creates the stream if it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Sizes and waiting; left out, the stream's own or the defaults.</param>
    /// <returns>The end, for one thread at a time.</returns>
    /// <exception cref="SegmentMismatchException">The stream exists with another size or version.</exception>
    /// <exception cref="CorruptSegmentException">The stream's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// The stream has a live receiver, or there is no room for it; the message has the numbers.
    /// </exception>
    public MessageReceiver OpenReceiver(ChannelName name, MmapStreamOptions? options = null)
    {
        options ??= new MmapStreamOptions();
        options.Validate();
        return new RingReceiver(SegmentFile.OpenOrCreate(_directory, name, new StreamSpec(options)), options);
    }

    /// <summary>Opens a work queue, and creates it if it does not exist.</summary>
    /// <param name="name">Which queue.</param>
    /// <param name="options">Sizes and waiting; left out, the queue's own or the defaults.</param>
    /// <returns>A handle that sends and leases, for any number of threads.</returns>
    /// <exception cref="SegmentMismatchException">The queue exists with other sizes or another version.</exception>
    /// <exception cref="CorruptSegmentException">The queue's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// There is no room for it, or it has all the participants it can have; the message has the numbers.
    /// </exception>
    public WorkQueue OpenQueue(ChannelName name, MmapQueueOptions? options = null)
    {
        options ??= new MmapQueueOptions();
        options.Validate();
        return new SlotQueue(SegmentFile.OpenOrCreate(_directory, name, new QueueSpec(options)), name, options);
    }

    /// <summary>Opens a publishing end of a topic, and creates the topic if it does not exist.</summary>
    /// <param name="name">Which topic.</param>
    /// <param name="options">Sizes, policy and waiting; left out, the topic's own or the defaults.</param>
    /// <returns>
    /// The end, for one thread at a time. It continues the numbers of a publisher that left or died.
    /// </returns>
    /// <exception cref="SegmentMismatchException">
    /// The topic exists with other sizes, another policy or another version.
    /// </exception>
    /// <exception cref="CorruptSegmentException">The topic's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// The topic has all the live publishers it can have, or there is no room for it; the message has the numbers.
    /// </exception>
    public MessagePublisher OpenPublisher(ChannelName name, MmapTopicOptions? options = null)
    {
        options ??= new MmapTopicOptions();
        options.Validate();
        return new RingPublisher(SegmentFile.OpenOrCreate(_directory, name, new TopicSpec(options)), options);
    }

    /// <summary>Opens a subscribing end of a topic, and creates the topic if it does not exist.</summary>
    /// <param name="name">Which topic.</param>
    /// <param name="options">Sizes, policy and waiting; left out, the topic's own or the defaults.</param>
    /// <param name="startAt">Where it begins.</param>
    /// <returns>The end, for one thread at a time; it receives everything that is published after this.</returns>
    /// <exception cref="SegmentMismatchException">
    /// The topic exists with other sizes, another policy or another version.
    /// </exception>
    /// <exception cref="CorruptSegmentException">The topic's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// The topic has all the participants it can have, or there is no room for it; the message has the numbers.
    /// </exception>
    public MessageSubscriber OpenSubscriber(ChannelName name, MmapTopicOptions? options = null, StartPosition startAt = StartPosition.Now)
    {
        options ??= new MmapTopicOptions();
        options.Validate();
        if (!Enum.IsDefined(startAt)) throw new ArgumentOutOfRangeException(nameof(startAt), $"no such start: {(int)startAt}");
        return new RingSubscriber(SegmentFile.OpenOrCreate(_directory, name, new TopicSpec(options)), options, startAt);
    }

    /// <summary>Opens a store, and creates it if it does not exist.</summary>
    /// <param name="name">
    /// Which store. It is a region in the file <c>name.store</c>, so other languages can take part.
    /// </param>
    /// <param name="options">Its size and waiting; left out, the store's own or the defaults.</param>
    /// <returns>
    /// The store, for any number of threads. A value that is set again to what it was is no change to a watch.
    /// </returns>
    /// <exception cref="CorruptSegmentException">The store's file fails a check.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its directory is not this user's alone.</exception>
    /// <exception cref="RegionFullException">There is no room for it; the message has the numbers.</exception>
    public IKeyValueStore OpenStore(ChannelName name, MmapStoreOptions? options = null) =>
        new RegionStore(name, StorePath(name), options ?? new MmapStoreOptions());

    /// <summary>
    /// Deletes a store with all its values, even if processes have it open. Their next call reports that it is gone.
    /// </summary>
    /// <param name="name">Which store.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    public bool RemoveStore(ChannelName name)
    {
        string path = StorePath(name);
        if (!File.Exists(path)) return false;
        File.Delete(path);
        return true;
    }

    /// <summary>Deletes a stream that no process has open, with all messages that were not read.</summary>
    /// <param name="name">Which stream.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    /// <exception cref="IOException">A process has it open. It was not deleted.</exception>
    public bool RemoveStream(ChannelName name) => Remove(name, SegmentShape.Stream);

    /// <summary>Deletes a queue that no process has open, with all messages that were not done.</summary>
    /// <param name="name">Which queue.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    /// <exception cref="IOException">A process has it open. It was not deleted.</exception>
    public bool RemoveQueue(ChannelName name) => Remove(name, SegmentShape.Queue);

    /// <summary>Deletes a topic that no process has open.</summary>
    /// <param name="name">Which topic.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    /// <exception cref="IOException">A process has it open. It was not deleted.</exception>
    public bool RemoveTopic(ChannelName name) => Remove(name, SegmentShape.Topic);

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
        ChannelName name, MmapStreamOptions? options, CancellationToken cancellationToken = default) =>
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
        ChannelName name, MmapStreamOptions? options, CancellationToken cancellationToken = default) =>
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
        ChannelName name, MmapQueueOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenQueue(name, options), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        OpenPublisherAsync(name, null, cancellationToken);

    /// <summary>Opens what <see cref="OpenPublisher"/> opens, with the same exceptions.</summary>
    /// <param name="name">The topic's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenPublisher</c> uses without any.
    /// </param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The end, for one thread at a time. Completes at once.</returns>
    public ValueTask<MessagePublisher> OpenPublisherAsync(
        ChannelName name, MmapTopicOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenPublisher(name, options), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now,
        CancellationToken cancellationToken = default) =>
        OpenSubscriberAsync(name, null, startAt, cancellationToken);

    /// <summary>Opens what <see cref="OpenSubscriber"/> opens, with the same exceptions.</summary>
    /// <param name="name">The topic's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenSubscriber</c> uses without any.
    /// </param>
    /// <param name="startAt">Where it begins.</param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The end, for one thread at a time. Completes at once.</returns>
    public ValueTask<MessageSubscriber> OpenSubscriberAsync(
        ChannelName name, MmapTopicOptions? options, StartPosition startAt = StartPosition.Now,
        CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenSubscriber(name, options, startAt), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellationToken = default) =>
        OpenStoreAsync(name, null, cancellationToken);

    /// <summary>Opens what <see cref="OpenStore"/> opens, with the same exceptions.</summary>
    /// <param name="name">The store's name.</param>
    /// <param name="options">
    /// Its options; <see langword="null"/> for those that <c>OpenStore</c> uses without any.
    /// </param>
    /// <param name="cancellationToken">If cancelled before the call, nothing is opened.</param>
    /// <returns>The store, for any number of threads. Completes at once.</returns>
    public ValueTask<IKeyValueStore> OpenStoreAsync(
        ChannelName name, MmapStoreOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenStore(name, options), cancellationToken);

    private string StorePath(ChannelName name) => Path.Combine(SegmentDirectory.Ensure(_directory), name.Value + RegionStore.FileSuffix);

    private bool Remove(ChannelName name, SegmentShape shape) => SegmentFile.Remove(_directory, name, shape);

    /// <summary>Does nothing: each end is its opener's to dispose.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync() => default;
}
