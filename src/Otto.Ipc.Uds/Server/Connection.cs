using System.Diagnostics;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.PubSub;

namespace Otto.Ipc.Uds.Server;

// One client. Idle it is this object, its output's and nothing else: ten thousand of them are a few megabytes.

/// <summary>One client's connection, owned by the server's thread.</summary>
internal sealed class Connection(UnixSocket socket, int generation, ServerState server, Action<Connection> markDirty)
    : ProtocolSession, ISubscriberSink
{
    /// <summary>How much a client may cost before the others have their turn: a command
    /// counts 1, a list as much as there are keys.</summary>
    public const int WorkPerTurn = 20_000;

    public Input Input;

    public UnixSocket Socket { get; } = socket;

    /// <summary>
    /// The tag of its events. It distinguishes this connection from an earlier one whose socket had the same number.
    /// </summary>
    public long Tag => (long)generation << 32 | (uint)Socket.Id;

    public Output Output { get; } = new(server.Pool);

    public override IReplyWriter Reply => Output;

    /// <summary>What it is subscribed to; <see langword="null"/> for most.</summary>
    public Subscriber? Subscriber { get; private set; }

    public bool IsSubscribed => Subscriber is { Subscriptions.Count: > 0 };

    /// <summary>What it is watched for.</summary>
    public PollEvents Watched { get; set; }

    /// <summary>Whether its last bytes were received.</summary>
    public bool InputEnded { get; set; }

    public bool IsClosed { get; set; }

    /// <summary>Whether a timer is set that checks its silence.</summary>
    public bool IsSilenceWatched { get; set; }

    /// <summary>Whether a timer is set that checks whether it reads.</summary>
    public bool IsReadingWatched { get; set; }

    /// <summary>Whether it is queued because it has something to send.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Whether it is queued to continue with the commands that it kept.</summary>
    public bool IsReady { get; set; }

    /// <summary>Whether it is queued to continue when there is memory again.</summary>
    public bool IsShortOfMemory { get; set; }

    /// <summary>When its last bytes came, as a time stamp.</summary>
    public long LastInput { get; set; }

    /// <summary>When the kernel last took something of its output, as a time stamp.</summary>
    public long LastTaken { get; set; }

    /// <summary>
    /// Whether the client was notified that it is too slow. It then has a limited time to read the notification.
    /// </summary>
    public bool IsEvicted { get; set; }

    /// <summary>Whether its commands waited for its reading when it was last served.</summary>
    public bool Waited { get; set; }

    /// <summary>Whether its commands wait until it has read more of what it was sent.</summary>
    public bool WaitsForReader => Output.Unsent >= server.Options.MaxUnreadBytes || WaitsForMemory || Subscriber is { HasSnapshot: true };

    /// <summary>Whether they wait because all connections together hold too much, and this
    /// one has a part in it.</summary>
    public bool WaitsForMemory => server.Budget.IsUnderPressure && Output.Unsent > 0;

    public override bool TakesCommands => !IsClosing && Work < WorkPerTurn && !WaitsForReader;

    /// <summary>Whether more of its commands are wanted.</summary>
    public bool IsReading => !InputEnded && !IsClosing && !WaitsForReader;

    long ISubscriberSink.Unsent => Output.Unsent;

    public override string? Subscribe(KeyPattern pattern, Interests interests, out string problem)
    {
        Subscriber subscriber = Subscriber ?? server.Broker.NewSubscriber(this);
        string? code = server.Broker.Subscribe(subscriber, pattern, interests, out problem);
        if (code is null) Subscriber = subscriber;
        return code;
    }

    public override void Unsubscribe(string pattern)
    {
        if (Subscriber is not null) server.Broker.Unsubscribe(Subscriber, pattern);
    }

    /// <summary>Ends all its subscriptions.</summary>
    public void UnsubscribeAll()
    {
        if (Subscriber is null) return;
        server.Broker.Remove(Subscriber);
        Subscriber = null;
    }

    /// <summary>Gives the kernel what it takes.</summary>
    public void Flush()
    {
        if (Output.Flush(Socket)) LastTaken = Stopwatch.GetTimestamp();
    }

    bool ISubscriberSink.HasRoomFor(long valueBytes) => Output.HasRoomFor(valueBytes);

    void ISubscriberSink.WriteEvent(EventKind kind, byte[] name, Value? value, long sequence) =>
        EventWriter.Write(Output, Dialect, kind, name, value, sequence);

    void ISubscriberSink.WriteLost(long count, long sequence) => EventWriter.WriteLost(Output, Dialect, count, sequence);

    void ISubscriberSink.MarkDirty() => markDirty(this);
}
