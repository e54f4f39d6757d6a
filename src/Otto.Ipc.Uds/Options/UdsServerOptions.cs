using Microsoft.Extensions.Logging;
using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds;

// Every bound of the server in one place: what a client can make it hold, and how long it puts up with one that does not read.

/// <summary>How to run a <see cref="UdsServer"/>. Left out, each bound has the default that
/// is said beside it.</summary>
public sealed record UdsServerOptions
{
    internal const int MostValueBytes = 15 << 20;

    /// <summary>
    /// The socket's path, at most 107 bytes. Left out: <c>OTTO_SOCKET</c>, else
    /// <c>otto/otto.sock</c> in <c>XDG_RUNTIME_DIR</c>, else
    /// <c>/tmp/otto-uid/otto.sock</c>. Its directory is made, for this user alone, where it is missing.
    /// </summary>
    public string? SocketPath { get; init; }

    /// <summary>
    /// The descriptor of a Unix stream socket that listens already, such as 3, where systemd passes the socket of a
    /// <c>.socket</c> unit. The server serves it, and leaves its path to the process that made it. Left out: the server
    /// makes <see cref="SocketPath"/>.
    /// </summary>
    public int? ListenDescriptor { get; init; }

    /// <summary>
    /// How many clients may be connected at once: 1 to 1,000,000, default 16,384. The server sends BUSY to one more and
    /// closes it.
    /// </summary>
    public int MaxConnections { get; init; } = 16_384;

    /// <summary>The largest value and the largest message in bytes: 1 to 15 MiB, default 1
    /// MiB. What is larger is answered TOOBIG.</summary>
    public int MaxValueBytes { get; init; } = 1 << 20;

    /// <summary>
    /// The most bytes of keys and values together, each key counted with 128 bytes on top: default 256 MiB, or a
    /// quarter of the memory that this process may use if that is less. A SET beyond is answered TOOBIG.
    /// </summary>
    public long MaxTotalBytes { get; init; } = ShareOfMemory(256L << 20, 4);

    /// <summary>How many answers a client may leave unread: default 100,000. Each command
    /// beyond is answered BUSY and not run.</summary>
    public int MaxPipelineDepth { get; init; } = 100_000;

    /// <summary>How many bytes of answers a client may leave unread before the server stops
    /// reading its commands: default 32 MiB.</summary>
    public int MaxUnreadBytes { get; init; } = 32 << 20;

    /// <summary>
    /// The most bytes that wait in all connections together, half-received commands, unread answers and snapshots:
    /// default 512 MiB, or a fifth of the memory that this process may use if that is less, and 24 KiB for each
    /// connection besides. Where three quarters are used, no more commands are
    /// taken from a client before it has read its answers, and one that reads nothing for
    /// <see cref="SlowSubscriberTimeout"/> is closed. A command that would need more than all is answered BUSY.
    /// </summary>
    public long MaxBufferedBytes { get; init; } = ShareOfMemory(512L << 20, 5);

    /// <summary>Patterns that one connection may be subscribed to: default 1,024.</summary>
    public int MaxPatterns { get; init; } = 1_024;

    /// <summary>
    /// How many changed keys may wait for one subscriber: default 1,000,000. If more keys wait, the server sends SLOW
    /// to the subscriber and closes it.
    /// </summary>
    public int MaxPendingKeys { get; init; } = 1_000_000;

    /// <summary>
    /// How many messages of topics may wait for one subscriber: default 16,384. If more messages wait, it loses the
    /// oldest, and the server reports how many were lost.
    /// </summary>
    public int MaxPendingMessages { get; init; } = 16_384;

    /// <summary>
    /// How many bytes of messages may wait for one subscriber: default 8 MiB. If more bytes wait, it loses the oldest
    /// messages, and the server reports how many were lost.
    /// </summary>
    public int MaxPendingBytes { get; init; } = 8 << 20;

    /// <summary>
    /// How long a subscriber may read nothing at all while something waits for it: default 10 s. Then the server sends
    /// SLOW to it and closes it. Other clients have no such limit, except when memory is short: see
    /// <see cref="MaxBufferedBytes"/>.
    /// </summary>
    public TimeSpan SlowSubscriberTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Whether a first command that comes without a newline is answered after 100 ms of silence, and its connection
    /// closed: for clients that send <c>GET k</c> and wait. Default on.
    /// </summary>
    public bool AnswerFirstCommandWithoutNewline { get; init; } = true;

    /// <summary>
    /// Whether a text connection without subscriptions is closed once a command was
    /// answered and a second of silence followed: for
    /// <c>echo 'GET k' | nc -U</c>, which otherwise never ends. Default off.
    /// </summary>
    public bool CloseAfterAnswer { get; init; }

    /// <summary>
    /// Where the server logs that it rejected a client, closed one that did not read, or
    /// closed one because of an internal failure: category
    /// <c>Otto.Ipc.Uds.UdsServer</c>, event ids 1 to 8. Default: nowhere.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    internal void Validate()
    {
        if (SocketPath is not null) SocketPaths.CheckLength(SocketPath);
        if (SocketPath is not null && ListenDescriptor is not null)
            throw new ArgumentException(
                $"the server gets its socket as descriptor {ListenDescriptor}, and {SocketPath} was asked for too; leave one of them out");
        if (ListenDescriptor is < 0)
            throw new ArgumentOutOfRangeException(nameof(ListenDescriptor), $"no such descriptor: {ListenDescriptor}");
        Check(MaxConnections, 1, 1_000_000, "max connections");
        Check(MaxValueBytes, 1, MostValueBytes, "max value bytes");
        Check(MaxTotalBytes, 1024, 1L << 46, "max total bytes");
        Check(MaxPipelineDepth, 1, int.MaxValue, "max pipeline depth");
        Check(MaxUnreadBytes, 64 << 10, int.MaxValue, "max unread bytes");
        Check(MaxBufferedBytes, 1 << 20, 1L << 46, "max buffered bytes");
        Check(MaxPatterns, 1, 1_000_000, "max patterns");
        Check(MaxPendingKeys, 1, 100_000_000, "max pending keys");
        Check(MaxPendingMessages, 1, 10_000_000, "max pending messages");
        Check(MaxPendingBytes, 1, int.MaxValue, "max pending bytes");
        if (SlowSubscriberTimeout < TimeSpan.FromMilliseconds(10) || SlowSubscriberTimeout > TimeSpan.FromDays(1))
            throw new ArgumentOutOfRangeException(nameof(SlowSubscriberTimeout),
                $"slow subscriber timeout must be 10 ms to 1 day: {SlowSubscriberTimeout}");
    }

    /// <summary>A bound for this process: a container, or DOTNET_GCHeapHardLimit, may give it less memory than the
    /// machine has.</summary>
    internal static long ShareOfMemory(long most, int part)
    {
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return available <= 0 ? most : Math.Clamp(available / part, 4L << 20, most);
    }

    private static void Check(long value, long least, long most, string what)
    {
        if (value < least || value > most)
            throw new ArgumentOutOfRangeException(what, $"{what} must be {least:N0} to {most:N0}: {value:N0}");
    }
}
