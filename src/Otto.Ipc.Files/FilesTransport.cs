using Otto.Ipc.Files.Places;
using Otto.Ipc.Files.Stores;

namespace Otto.Ipc.Files;

// The door to files: a name in, a store, an end of a stream or a queue out.

/// <summary>Files as a transport: what <c>cat</c>, <c>jq</c> and <c>flock</c> can read and join.</summary>
/// <remarks>
/// <para>Everything lies below one directory, see <see cref="FilesTransportOptions.Directory"/>, in the formats that <c>docs/files.md</c> describes:
/// stores in <c>tasks/&lt;task&gt;/output.&lt;task&gt;.json</c>, streams in <c>streams/&lt;name&gt;/</c>, queues in <c>queues/&lt;name&gt;/</c>.</para>
/// <para>Files are 0600 in directories of 0700. Nothing is deleted when an end is disposed.</para>
/// </remarks>
public sealed class FilesTransport : IStoreTransport
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
        _root = RunDirectory.PathOf(_options.Directory);
    }

    /// <inheritdoc/>
    public string Name => "files";

    /// <inheritdoc/>
    public TransportTraits Traits { get; } = new(
        Speed: SpeedClass.Slow,
        Streaming: Support.Yes,
        Persistent: Persistence.Disk,
        Debuggable: Ease.Easy,
        ShellFriendly: Ease.Easy,
        Bidirectional: false,
        SetUp: Level.Low,
        Overhead: Level.High,
        MaxMessageBytes: null,
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <summary>The directory of the run.</summary>
    public string Directory => _root;

    /// <summary>Opens a task's store; its file is made by the first change.</summary>
    /// <param name="name">The task.</param>
    /// <returns>The store, for any number of threads.</returns>
    /// <exception cref="UnauthorizedAccessException">A directory is a link, or not this user's alone.</exception>
    public IKeyValueStore OpenStore(ChannelName name) => new JsonStore(RunDirectory.Ensure(_root, "tasks", name.Value), name, _options);

    ValueTask<IKeyValueStore> IStoreTransport.OpenStoreAsync(ChannelName name, CancellationToken cancellation) =>
        cancellation.IsCancellationRequested ? ValueTask.FromCanceled<IKeyValueStore>(cancellation) : new(OpenStore(name));

    /// <summary>Does nothing: each end is its opener's to dispose.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync() => default;
}
