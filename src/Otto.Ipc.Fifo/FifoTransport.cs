using Otto.Ipc.Endpoints;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Streams;

namespace Otto.Ipc.Fifo;

// The door to FIFOs: a name or a path and options in, an end of a stream out.

/// <summary>
/// Named pipes as a transport: streams between processes of one user, shells and every other language among them.
/// </summary>
/// <remarks>
/// A stream is a FIFO, <c>name.fifo</c> in <see cref="FifoTransportOptions.Directory"/>, with mode 0600. A small file
/// beside it, <c>name.fifo.lock</c>, coordinates its .NET ends. Any program may take part by opening the FIFO, as
/// docs/fifo.md describes. What was sent is kept while either end has the FIFO open, and is lost when the last end
/// closes it. The stream ends when its last sender closes it: a pipe does not distinguish a sender that completed from
/// one that was disposed or killed. The stream begins again when another sender opens it. A sender does not wait for
/// the receiver to open: it opens at once, and its first send waits for the receiver. The files stay when ends are
/// disposed; <see cref="RemoveStream"/> deletes them. Needs Linux on x64 or arm64 (arm64 is untested).
/// </remarks>
public sealed class FifoTransport : IStreamTransport
{
    private const string FifoSuffix = ".fifo";
    private readonly string? _directory;
    private readonly FifoStreamOptions _defaults;

    /// <summary>Makes the transport; nothing is opened yet.</summary>
    /// <param name="options">Where FIFOs live, and what a stream is opened with by default.</param>
    public FifoTransport(FifoTransportOptions? options = null)
    {
        _directory = options?.Directory;
        _defaults = options?.Stream ?? new FifoStreamOptions();
        _defaults.Validate();
    }

    /// <inheritdoc/>
    public string Name => "fifo";

    /// <inheritdoc/>
    public TransportTraits Traits { get; } = new(
        Speed: TransportSpeed.Fast,
        Streaming: TransportSupport.Yes,
        Persistent: TransportPersistence.None,
        Debuggable: TransportEase.Hard,
        ShellFriendly: TransportEase.Easy,
        Bidirectional: false,
        SetUp: TransportLevel.Low,
        Overhead: TransportLevel.Medium,
        MaxMessageBytes: (1L << 20) - Platform.Pipe.PageBytes - FrameRules.LengthBytes,
        Platforms: "Linux x64; Linux arm64 declared, untested; macOS and Windows not offered");

    /// <summary>
    /// Opens a stream's sending end, and makes the FIFO where it does not exist. Does not wait for a receiver.
    /// </summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Framing and sizes; left out, the transport's.</param>
    /// <returns>
    /// The end, for one thread at a time. Until a receiver is there nothing can be sent: <c>Try…</c> says
    /// <see langword="false"/>, waits wait. Once the receiver has left, sends and waits throw
    /// <see cref="System.Threading.Channels.ChannelClosedException"/> until another one
    /// opens, which finds what the first had not read.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// The other ends use another framing or another limit; the message has both.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The FIFO or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// Another kind of file exists at the path of the FIFO, or the system refused. The message describes the problem.
    /// </exception>
    public MessageSender OpenSender(ChannelName name, FifoStreamOptions? options = null)
    {
        options = Checked(options);
        return new FifoSender(StreamFile.Join(PathOf(name, create: true), create: true, options), options);
    }

    /// <summary>Opens a stream's receiving end, and makes the FIFO where it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="options">Framing and sizes; left out, the transport's.</param>
    /// <returns>
    /// The end, for one thread at a time. Receiving throws <see cref="TruncatedFrameException"/> once for a message
    /// whose sender went away in the middle of it, and <see cref="InvalidDataException"/>
    /// for bytes that no sender of this stream would write.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// The other ends use another framing or another limit; the message has both.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The FIFO or its directory is not this user's alone.</exception>
    /// <exception cref="IOException">
    /// The stream has a receiver, or the system gives no pipe large enough; the message has the numbers.
    /// </exception>
    public MessageReceiver OpenReceiver(ChannelName name, FifoStreamOptions? options = null)
    {
        options = Checked(options);
        return new FifoReceiver(StreamFile.Join(PathOf(name, create: true), create: true, options), options);
    }

    /// <summary>Opens the sending end of a FIFO that exists, such as the one in <c>OTTO_OUTPUT_PIPE</c>.</summary>
    /// <param name="path">The FIFO, in a directory that only this user may write to.</param>
    /// <param name="options">Framing and sizes; left out, the transport's.</param>
    /// <returns>The end, as <see cref="OpenSender"/> returns it.</returns>
    /// <exception cref="FileNotFoundException">There is no such FIFO.</exception>
    /// <exception cref="IOException">As <see cref="OpenSender"/> throws it.</exception>
    public MessageSender OpenSenderAt(string path, FifoStreamOptions? options = null)
    {
        options = Checked(options);
        return new FifoSender(StreamFile.Join(Existing(path), create: false, options), options);
    }

    /// <summary>Opens the receiving end of a FIFO that exists, such as the one in <c>OTTO_INPUT_PIPE</c>.</summary>
    /// <param name="path">The FIFO, in a directory that only this user may write to.</param>
    /// <param name="options">Framing and sizes; left out, the transport's.</param>
    /// <returns>The end, as <see cref="OpenReceiver"/> returns it.</returns>
    /// <exception cref="FileNotFoundException">There is no such FIFO.</exception>
    /// <exception cref="IOException">As <see cref="OpenReceiver"/> throws it.</exception>
    public MessageReceiver OpenReceiverAt(string path, FifoStreamOptions? options = null)
    {
        options = Checked(options);
        return new FifoReceiver(StreamFile.Join(Existing(path), create: false, options), options);
    }

    /// <summary>Opens one side of a talk in both directions: two FIFOs, one each way.</summary>
    /// <param name="name">Which talk.</param>
    /// <param name="side">Which side of it this is.</param>
    /// <param name="options">Framing and sizes of both; left out, the transport's.</param>
    /// <returns>Both ends of this side.</returns>
    /// <exception cref="ArgumentException">
    /// There is no such side, or the name with what is added to it is too long.
    /// </exception>
    /// <exception cref="IOException">As <see cref="OpenSender"/> and <see cref="OpenReceiver"/> throw it.</exception>
    public FifoDuplex OpenDuplex(ChannelName name, DuplexSide side, FifoStreamOptions? options = null)
    {
        if (!Enum.IsDefined(side)) throw new ArgumentOutOfRangeException(nameof(side), $"no such side: {(int)side}");
        ChannelName toServer = new(name.Value + ".to-server"), toClient = new(name.Value + ".to-client");
        (ChannelName mine, ChannelName theirs) = side == DuplexSide.Server ? (toServer, toClient) : (toClient, toServer);
        MessageReceiver receiver = OpenReceiver(mine, options);
        try
        {
            return new FifoDuplex(OpenSender(theirs, options), receiver);
        }
        catch
        {
            receiver.Dispose();
            throw;
        }
    }

    /// <summary>Deletes the FIFO of a stream that no .NET end has open.</summary>
    /// <param name="name">Which stream.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    /// <remarks>
    /// Another program that has it open keeps what it has. A program that waits for the other side to open is let in,
    /// and finds no other process.
    /// </remarks>
    /// <exception cref="IOException">A .NET end has it open; it was left alone.</exception>
    public bool RemoveStream(ChannelName name) => StreamFile.Remove(PathOf(name, create: false));

    /// <summary>Deletes both FIFOs of a talk, as <see cref="RemoveStream"/> does.</summary>
    /// <param name="name">Which talk.</param>
    /// <returns><see langword="false"/> if there is none.</returns>
    /// <exception cref="IOException">A .NET end has one of them open; it was left alone.</exception>
    public bool RemoveDuplex(ChannelName name) => RemoveStream(name.Value + ".to-server") | RemoveStream(name.Value + ".to-client");

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
        ChannelName name, FifoStreamOptions? options, CancellationToken cancellationToken = default) =>
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
        ChannelName name, FifoStreamOptions? options, CancellationToken cancellationToken = default) =>
        ImmediateOpen.Run(() => OpenReceiver(name, options), cancellationToken);

    /// <summary>Does nothing: each end is its opener's to dispose.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync() => default;

    /// <summary>Where a stream's FIFO is or would be, for programs that open it by its path.</summary>
    /// <param name="name">Which stream.</param>
    /// <returns>An absolute path; nothing is made.</returns>
    public string PathOf(ChannelName name) => Path.Combine(FifoDirectory.PathOf(_directory), name.Value + FifoSuffix);

    private string PathOf(ChannelName name, bool create)
    {
        string path = PathOf(name);
        if (create) FifoDirectory.Ensure(_directory);
        else if (Directory.Exists(Path.GetDirectoryName(path))) FifoDirectory.Check(Path.GetDirectoryName(path)!);
        return path;
    }

    private static string Existing(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = FifoDirectory.PathOf(path);
        FifoDirectory.Check(Path.GetDirectoryName(path) ?? "/");
        return path;
    }

    private FifoStreamOptions Checked(FifoStreamOptions? options)
    {
        options ??= _defaults;
        options.Validate();
        return options;
    }
}
