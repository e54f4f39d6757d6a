using Otto.Ipc.Uds.Listening;

namespace Otto.Ipc.Uds;

// What a client may choose: where the server is, how long it may take to appear, and how much may wait on this side.

/// <summary>How to reach the server of sockets, and how much waits in this process.</summary>
public sealed record UdsTransportOptions
{
    /// <summary>
    /// The server's socket. Left out: <c>OTTO_SOCKET</c>, else <c>otto/otto.sock</c> in <c>XDG_RUNTIME_DIR</c>, else
    /// <c>/tmp/otto-uid/otto.sock</c>. Streams have sockets of their own beside it.
    /// </summary>
    public string? SocketPath { get; init; }

    /// <summary>
    /// How long to retry while no server listens: zero to 1 day, default 2 s. Zero tries once. A server that has not
    /// accepted all its callers yet counts as listening: the client waits for it as for an answer, as long as the call
    /// may take.
    /// </summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How many messages a subscriber holds that its owner has not taken: 1 to
    /// 10,000,000, default 16,384. Beyond, it loses the oldest and counts them.</summary>
    public int SubscriberMessages { get; init; } = 16_384;

    /// <summary>How many bytes of messages a subscriber holds, at least one message:
    /// default 64 MiB. Beyond, it loses the oldest and counts them.</summary>
    public long SubscriberBytes { get; init; } = 64L << 20;

    /// <summary>
    /// Whether a server, or a stream's other end, may be another user's. That user can then read everything that a
    /// client sends, and can forge everything that the client receives. Default no, also for root. Servers and ends of
    /// root are always allowed. <c>OTTO_SOCKET_TRUST_OWNER=1</c> in the environment makes the default yes.
    /// </summary>
    public bool AllowOtherOwner { get; init; } = Environment.GetEnvironmentVariable(TrustVariable) == "1";

    internal const string TrustVariable = "OTTO_SOCKET_TRUST_OWNER";

    internal void Validate()
    {
        if (SocketPath is not null) SocketPaths.CheckLength(SocketPath);
        if (ConnectTimeout < TimeSpan.Zero || ConnectTimeout > TimeSpan.FromDays(1))
            throw new ArgumentOutOfRangeException(nameof(ConnectTimeout), $"connect timeout must be 0 to 1 day: {ConnectTimeout}");
        if (SubscriberMessages is < 1 or > 10_000_000)
            throw new ArgumentOutOfRangeException(nameof(SubscriberMessages),
                $"subscriber messages must be 1 to 10,000,000: {SubscriberMessages:N0}");
        if (SubscriberBytes is < 1 or > 1L << 40)
            throw new ArgumentOutOfRangeException(nameof(SubscriberBytes),
                $"subscriber bytes must be 1 to {1L << 40:N0}: {SubscriberBytes:N0}");
    }
}
