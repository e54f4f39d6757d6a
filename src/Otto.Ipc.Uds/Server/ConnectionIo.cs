using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// What one client's turn does: what came is received and run, what was answered is sent, and the poller is told what to wait for next.

/// <summary>The input and output of connections.</summary>
internal sealed class ConnectionIo(
    ServerState server, ConnectionTable connections, PendingConnections pending, ConnectionTimeouts timeouts, ReadinessPoller poller,
    ILogger log)
{
    private const int SharedBytes = 64 << 10, EventsPerRound = 2_000, RoundsPerTurn = 8;

    private readonly byte[] _shared = GC.AllocateUninitializedArray<byte>(SharedBytes, pinned: true);
    private readonly TextProtocol _text = new(LimitsOf(server.Options), server.Broker);
    private readonly BinaryProtocol _binary = new(LimitsOf(server.Options), server.Broker);

    /// <summary>How many clients were closed because they did not read.</summary>
    public int Evicted { get; private set; }

    /// <summary>Serves a connection to which something happened.</summary>
    public void Serve(Connection connection, PollEvents happened)
    {
        if ((happened & PollEvents.HungUp) != 0 && !connection.IsReading)
        {
            // The client reads nothing any more. What it sent before is still run, even if it had been told to wait.
            connection.Output.Break();
            if (connection.IsClosing || (connection.InputEnded && connection.Input.KeptBytes == 0))
            {
                connections.Close(connection);
                return;
            }

            connection.UnsubscribeAll();
            if (connection.InputEnded) pending.MarkReady(connection);
        }

        bool hasInput = (happened & (PollEvents.Readable | PollEvents.HungUp | PollEvents.Error)) != 0;
        if (hasInput && connection.IsReading && !connection.IsReady) Receive(connection);
        else if ((happened & PollEvents.Writable) != 0) Send(connection);
    }

    /// <summary>Continues with the commands that a connection kept.</summary>
    public void Continue(Connection connection)
    {
        connection.IsReady = false;
        connection.Work = 0;
        Process(connection, connection.Input.Kept);
    }

    /// <summary>Sends what the kernel takes, and sees to what the connection needs next.</summary>
    public void Send(Connection connection)
    {
        if (connection.IsClosed) return;
        Output output = connection.Output;
        if (!output.IsEmpty) connection.Flush();
        if (connection.Subscriber is { } subscriber)
        {
            for (int round = 0; round < RoundsPerTurn && subscriber.IsBehind && output.IsEmpty; round++)
            {
                subscriber.WritePending(EventsPerRound);
                connection.Flush();
            }

            if (subscriber.IsTooSlow) Evict(connection);
        }

        if (output.IsEmpty && connection.IsClosing)
        {
            connections.Close(connection);
            return;
        }

        // What had to wait until answers were read, or until its turn came.
        bool hasMore = connection.Input.KeptBytes > 0 || connection.InputEnded;
        bool waited = connection.Work >= Connection.WorkPerTurn || connection.Waited;
        if (hasMore && waited && !connection.IsClosing && !connection.WaitsForReader) pending.MarkReady(connection);
        connection.Waited = connection.WaitsForReader;
        // Its own reading lets it continue, and so does that of the others.
        if (connection.WaitsForMemory) pending.MarkShortOfMemory(connection);
        timeouts.WatchReading(connection);
        Watch(connection);
    }

    /// <summary>Does what the timer for silence asks for.</summary>
    public void EndSilence(Connection connection)
    {
        SilenceAction action = timeouts.CheckSilence(connection);
        switch (action)
        {
            case SilenceAction.None:
                return;
            case SilenceAction.RunAsText:
                connection.Dialect = Dialect.Text;
                Process(connection, connection.Input.Kept);
                return;
            case SilenceAction.RunLastAndClose:
                _text.RunLast(connection, connection.Input.Kept);
                break;
        }

        // Whatever else comes could be the rest of the command that was just run.
        connection.IsClosing = true;
        connection.Input.Release(server.Budget);
        Send(connection);
    }

    /// <summary>Does what the timer for reading asks for.</summary>
    public void CheckReading(Connection connection)
    {
        switch (timeouts.CheckReading(connection))
        {
            case ReadingAction.Close:
                connections.Close(connection);
                break;
            case ReadingAction.Evict:
                Evict(connection);
                Send(connection);
                break;
            case ReadingAction.CloseForMemory:
                Evicted++;
                log.ClosedForMemory(connection.Output.Unsent, server.Budget.Used, server.Options.MaxBufferedBytes);
                connections.Close(connection);
                break;
        }
    }

    private static ProtocolLimits LimitsOf(UdsServerOptions options) => new(
        options.MaxValueBytes, options.MaxTotalBytes, options.MaxConnections, options.MaxPipelineDepth, options.MaxUnreadBytes,
        options.MaxPatterns);

    private static void Refuse(Connection connection, string code, string words)
    {
        if (connection.Dialect == Dialect.Binary) BinaryProtocol.Refuse(connection, code, words);
        else TextProtocol.Refuse(connection, code, words);
    }

    private void Receive(Connection connection)
    {
        connection.Work = 0;
        bool isBinary = connection.Dialect == Dialect.Binary;
        long missing = isBinary ? BinaryProtocol.Missing(connection.Input.Kept) : 1;
        switch (connection.Input.Receive(connection.Socket, _shared, server.Budget, out ReadOnlySpan<byte> data))
        {
            case Received.Bytes:
                connection.LastInput = Stopwatch.GetTimestamp();
                Process(connection, data);
                break;
            case Received.End:
                connection.InputEnded = true;
                Process(connection, connection.Input.Kept);
                break;
            case Received.NoRoom:
                DropCommand(connection, missing);
                Send(connection);
                break;
        }
    }

    private void Process(Connection connection, ReadOnlySpan<byte> data)
    {
        if (connection.Dialect == Dialect.Unknown && (data.Length >= 4 || connection.InputEnded))
            connection.Dialect = data.Length >= 4 && data[3] == 0 ? Dialect.Binary : Dialect.Text;
        int used = connection.Dialect switch
        {
            Dialect.Text => _text.Run(connection, data),
            Dialect.Binary => _binary.Run(connection, data),
            _ => 0,
        };
        ReadOnlySpan<byte> rest = data[used..];
        if (connection.InputEnded && connection.TakesCommands)
        {
            RunLast(connection, rest);
            rest = default;
            if (!connection.IsSubscribed) connection.IsClosing = true;
        }

        if (connection.IsClosing) connection.Input.Release(server.Budget);
        else if (!connection.Input.Keep(rest, server.Budget)) Drop(connection, rest);
        connection.Waited = connection.WaitsForReader;
        Send(connection);
        timeouts.WatchSilence(connection);
    }

    private void RunLast(Connection connection, ReadOnlySpan<byte> rest)
    {
        // A client that closed only its sending side waits for an answer; one that has gone altogether may
        // have been killed in the middle of a command.
        if (rest.IsEmpty || connection.Socket.HasHungUp) return;
        if (connection.Dialect == Dialect.Text) _text.RunLast(connection, rest);
        else BinaryProtocol.Refuse(connection, ErrorCode.BadCommand, $"the last frame was cut off after {rest.Length:N0} bytes");
    }

    private void Drop(Connection connection, ReadOnlySpan<byte> rest)
    {
        // Commands that were told to wait cannot be: how many answers are missing could not be known.
        if (connection.WaitsForReader) connection.IsClosing = true;
        DropCommand(connection, connection.Dialect == Dialect.Binary ? BinaryProtocol.Missing(rest) : 1);
    }

    private void DropCommand(Connection connection, long missing)
    {
        long most = server.Options.MaxBufferedBytes;
        Refuse(connection, ErrorCode.Busy,
            $"{most:N0} bytes wait in all connections together, the most there may be; this command was not run");
        connection.Skipping = missing;
        connection.Scanned = 0;
    }

    /// <summary>
    /// Notifies a subscriber that it is too slow. The connection is closed once the subscriber has read the
    /// notification, or if it does not read at all.
    /// </summary>
    private void Evict(Connection connection)
    {
        Evicted++;
        log.EvictedSlowSubscriber(connection.Output.Unsent);
        connection.UnsubscribeAll();
        const string Words =
            "events came faster than they were read, for longer than may be; subscribe again, with SNAPSHOT for the values of now";
        Refuse(connection, ErrorCode.Slow, Words);
        connection.IsClosing = connection.IsEvicted = true;
        connection.Input.Release(server.Budget);
        connection.Flush();
    }

    /// <summary>Has the poller watch the connection for what it needs now.</summary>
    private void Watch(Connection connection)
    {
        bool sends = !connection.Output.IsEmpty || connection.Subscriber is { IsBehind: true };
        PollEvents wanted = (connection.IsReading ? PollEvents.Readable : 0) | (sends ? PollEvents.Writable : 0);
        if (wanted == connection.Watched) return;
        connection.Watched = wanted;
        poller.Change(connection.Socket.Id, wanted, connection.Tag);
    }
}
