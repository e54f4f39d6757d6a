using System.Diagnostics;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// What is done about clients that do nothing: one that sent a command without a newline, one whose host never closes, one that does not read.

internal sealed partial class ServerLoop
{
    /// <summary>Tells a subscriber that it is too slow, and closes it once it has read so, or does not read at all.</summary>
    private void Evict(Connection connection)
    {
        Evicted++;
        _broker.Leave(connection);
        Refuse(connection, ErrorCode.Slow, "events came faster than they were read, for longer than may be; subscribe again, with SNAPSHOT for the values of now");
        connection.IsClosing = connection.IsEvicted = true;
        connection.Input.Release(Budget);
        Flush(connection);
    }

    private void WatchReading(Connection connection)
    {
        if (connection.IsReadingWatched || connection.Output.IsEmpty) return;
        connection.IsReadingWatched = true;
        connection.LastTaken = Stopwatch.GetTimestamp();
        _alarms.Set(new TimerEntry(TimerKind.Reading, connection, null), connection.LastTaken + TimerQueue.Ticks(Patience(connection)));
    }

    private TimeSpan Patience(Connection connection) => connection.IsEvicted ? Grace : Options.SlowSubscriberTimeout;

    private void WatchSilence(Connection connection)
    {
        if (connection.IsSilenceWatched || connection.IsClosing || Silence(connection) is not { } silence) return;
        connection.IsSilenceWatched = true;
        _alarms.Set(new TimerEntry(TimerKind.Silence, connection, null), connection.LastInput + TimerQueue.Ticks(silence));
    }

    /// <summary>After which silence something is to be done about a connection.</summary>
    private TimeSpan? Silence(Connection connection) => connection.Dialect == Dialect.Unknown && connection.Input.Kept is [.., (byte)'\n'] ? LongSilence
        : connection.Dialect != Dialect.Text ? null
        : Options.AnswerFirstCommandWithoutNewline && !connection.SawNewline && connection.Input.KeptBytes > 0 && connection.Skipping == 0 ? ShortSilence
        : Options.CloseAfterAnswer && connection.WasAnswered && !Broker.IsSubscribed(connection) ? LongSilence
        : null;

    private void LookAtSilence(Connection connection)
    {
        connection.IsSilenceWatched = false;
        if (connection.IsClosing || Silence(connection) is not { } silence) return;
        if (Stopwatch.GetElapsedTime(connection.LastInput) < silence)
        {
            WatchSilence(connection);
            return;
        }

        if (connection.Dialect == Dialect.Unknown)
        {
            // A line of fewer than four bytes is no command, but whoever typed it waits for an answer; no frame stops there for so long.
            connection.Dialect = Dialect.Text;
            Process(connection, connection.Input.Kept);
            return;
        }

        if (silence == ShortSilence)
        {
            if (!TextProtocol.IsWhole(connection.Input.Kept)) return;
            _text.RunLast(connection, connection.Input.Kept);
        }

        // Whatever else comes could be the rest of the command that was just run.
        connection.IsClosing = true;
        connection.Input.Release(Budget);
        Send(connection);
    }

    private void LookAtReading(Connection connection)
    {
        connection.IsReadingWatched = false;
        if (connection.Output.IsEmpty) return;
        TimeSpan patience = Patience(connection);
        if (Stopwatch.GetElapsedTime(connection.LastTaken) < patience)
        {
            connection.IsReadingWatched = true;
            _alarms.Set(new TimerEntry(TimerKind.Reading, connection, null), connection.LastTaken + TimerQueue.Ticks(patience));
            return;
        }

        if (connection.IsEvicted)
        {
            Close(connection);
        }
        else if (Broker.IsSubscribed(connection))
        {
            Evict(connection);
            Send(connection);
        }
        else if (Budget.IsTight)
        {
            // Others need what it holds, and nothing that it could be told would be read.
            Evicted++;
            Close(connection);
        }
        else
        {
            // Whoever was stopped for a while, or pages through a long answer, may take its time as long as it harms nobody.
            connection.IsReadingWatched = true;
            _alarms.Set(new TimerEntry(TimerKind.Reading, connection, null), Stopwatch.GetTimestamp() + TimerQueue.Ticks(patience));
        }
    }
}
