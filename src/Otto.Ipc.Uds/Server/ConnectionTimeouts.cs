using System.Diagnostics;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.Timers;

namespace Otto.Ipc.Uds.Server;

// Clients that do nothing: one that sent a command without a newline, one whose program never closes, one that does not read. This decides
// what is to be done about them and when to ask again; ConnectionIo does it. Few connections ever have a timer.

/// <summary>What to do about a client after a silence.</summary>
internal enum SilenceAction
{
    None,

    /// <summary>The client sent a line of text that is too short to identify the protocol by itself.</summary>
    RunAsText,

    /// <summary>What it sent is a command whose newline does not come: run it, then close.</summary>
    RunLastAndClose,

    Close,
}

/// <summary>What to do about a client that did not read for a while.</summary>
internal enum ReadingAction
{
    None,

    Close,

    /// <summary>The client is subscribed and too slow: notify it, then close.</summary>
    Evict,

    /// <summary>Others need the memory that it holds.</summary>
    CloseForMemory,
}

/// <summary>Something to check about a connection: whether it reads, or else its silence.</summary>
internal readonly record struct ConnectionTimer(Connection Connection, bool ChecksReading);

/// <summary>The timers of connections.</summary>
internal sealed class ConnectionTimeouts(ServerState server)
{
    private static readonly TimeSpan ShortSilence = TimeSpan.FromMilliseconds(100), LongSilence = TimeSpan.FromSeconds(1),
        EvictionTimeout = TimeSpan.FromSeconds(10);
    private readonly TimerQueue<ConnectionTimer> _timers = new();

    /// <summary>How long it is until a timer is due, in milliseconds; -1 if there is none.</summary>
    public int MillisecondsUntilDue(long now) => _timers.Milliseconds(now);

    public bool TryTake(long now, out ConnectionTimer due) => _timers.TryTake(now, out due);

    /// <summary>Sets a timer if something of the connection waits to be read.</summary>
    public void WatchReading(Connection connection)
    {
        if (connection.IsReadingWatched || connection.Output.IsEmpty) return;
        connection.LastTaken = Stopwatch.GetTimestamp();
        SetReading(connection, connection.LastTaken);
    }

    /// <summary>Sets a timer if something is to be done should the connection be silent.</summary>
    public void WatchSilence(Connection connection)
    {
        if (connection.IsSilenceWatched || connection.IsClosing || SilenceLimit(connection) is not { } limit) return;
        connection.IsSilenceWatched = true;
        _timers.Set(new ConnectionTimer(connection, ChecksReading: false), connection.LastInput + TimeStamps.Ticks(limit));
    }

    /// <summary>Decides about a connection whose timer for silence is due.</summary>
    public SilenceAction CheckSilence(Connection connection)
    {
        connection.IsSilenceWatched = false;
        if (connection.IsClosing || SilenceLimit(connection) is not { } limit) return SilenceAction.None;
        if (Stopwatch.GetElapsedTime(connection.LastInput) < limit)
        {
            WatchSilence(connection);
            return SilenceAction.None;
        }

        // A line of fewer than four bytes is no command, but its sender waits for an answer; no frame stops there for so long.
        if (connection.Dialect == Dialect.Unknown) return SilenceAction.RunAsText;
        if (limit != ShortSilence) return SilenceAction.Close;
        return TextProtocol.IsWhole(connection.Input.Kept) ? SilenceAction.RunLastAndClose : SilenceAction.None;
    }

    /// <summary>Decides about a connection whose timer for reading is due.</summary>
    public ReadingAction CheckReading(Connection connection)
    {
        connection.IsReadingWatched = false;
        if (connection.Output.IsEmpty) return ReadingAction.None;
        if (Stopwatch.GetElapsedTime(connection.LastTaken) < ReadingLimit(connection))
        {
            SetReading(connection, connection.LastTaken);
            return ReadingAction.None;
        }

        if (connection.IsEvicted) return ReadingAction.Close;
        if (connection.IsSubscribed) return ReadingAction.Evict;
        // Others need what it holds, and nothing that it could be told would be read.
        if (server.Budget.IsUnderPressure) return ReadingAction.CloseForMemory;
        // A client that was stopped for a while, or pages through a long answer, may take its time as long as others are not affected.
        SetReading(connection, Stopwatch.GetTimestamp());
        return ReadingAction.None;
    }

    private void SetReading(Connection connection, long from)
    {
        connection.IsReadingWatched = true;
        _timers.Set(new ConnectionTimer(connection, ChecksReading: true), from + TimeStamps.Ticks(ReadingLimit(connection)));
    }

    private TimeSpan ReadingLimit(Connection connection) => connection.IsEvicted ? EvictionTimeout : server.Options.SlowSubscriberTimeout;

    private TimeSpan? SilenceLimit(Connection connection)
    {
        UdsServerOptions options = server.Options;
        if (connection.Dialect == Dialect.Unknown && connection.Input.Kept is [.., (byte)'\n']) return LongSilence;
        if (connection.Dialect != Dialect.Text) return null;
        bool hasUnended = !connection.SawNewline && connection.Input.KeptBytes > 0 && connection.Skipping == 0;
        if (options.AnswerFirstCommandWithoutNewline && hasUnended) return ShortSilence;
        return options.CloseAfterAnswer && connection.WasAnswered && !connection.IsSubscribed ? LongSilence : null;
    }
}
