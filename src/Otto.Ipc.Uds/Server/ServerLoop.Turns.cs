using System.Diagnostics;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// One client's turn: what came is received and run, what was answered is sent, and epoll is told what to wait for next.

internal sealed partial class ServerLoop
{
    private void Serve(Connection connection, uint happened)
    {
        if ((happened & Libc.EPOLLHUP) != 0 && !Reads(connection))
        {
            // Nobody is there to read any more. What it sent before is still run, even where it had been told to wait.
            connection.Output.Break();
            if (connection.IsClosing || (connection.InputEnded && connection.Input.KeptBytes == 0))
            {
                Close(connection);
                return;
            }

            _broker.Leave(connection);
            if (connection.InputEnded && !connection.IsReady) BeReady(connection);
        }

        if ((happened & (Libc.EPOLLIN | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0 && Reads(connection) && !connection.IsReady) Receive(connection);
        else if ((happened & Libc.EPOLLOUT) != 0) Send(connection);
    }

    private void Receive(Connection connection)
    {
        connection.Work = 0;
        bool isBinary = connection.Dialect == Dialect.Binary;
        long missing = isBinary ? BinaryProtocol.Missing(connection.Input.Kept) : 1;
        switch (connection.Input.Receive(connection.Descriptor, _shared, Budget, out ReadOnlySpan<byte> data))
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

    private void GoOn(Connection connection)
    {
        connection.IsReady = false;
        connection.Work = 0;
        Process(connection, connection.Input.Kept);
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
            if (!Broker.IsSubscribed(connection)) connection.IsClosing = true;
        }

        if (connection.IsClosing) connection.Input.Release(Budget);
        else if (!connection.Input.Keep(rest, Budget)) Drop(connection, rest);
        connection.Waited = connection.WaitsForReader;
        Send(connection);
        WatchSilence(connection);
    }

    private void RunLast(Connection connection, ReadOnlySpan<byte> rest)
    {
        // Who closed only its sending side waits for an answer; who has gone altogether may have been killed in the middle of a command.
        if (rest.IsEmpty || HasGone(connection)) return;
        if (connection.Dialect == Dialect.Text) _text.RunLast(connection, rest);
        else BinaryProtocol.Refuse(connection, ErrorCode.BadCommand, $"the last frame was cut off after {rest.Length:N0} bytes");
    }

    private static bool HasGone(Connection connection)
    {
        var entry = new Libc.PollEntry { Descriptor = connection.Descriptor };
        return Libc.Poll(ref entry, 1, 0) > 0 && (entry.Returned & (short)Libc.EPOLLHUP) != 0;
    }

    private void Drop(Connection connection, ReadOnlySpan<byte> rest)
    {
        // Commands that were told to wait cannot be: how many answers are missing, nobody would know.
        if (connection.WaitsForReader) connection.IsClosing = true;
        DropCommand(connection, connection.Dialect == Dialect.Binary ? BinaryProtocol.Missing(rest) : 1);
    }

    private void DropCommand(Connection connection, long missing)
    {
        Refuse(connection, ErrorCode.Busy, $"{Options.MaxBufferedBytes:N0} bytes wait in all connections together, the most there may be; this command was not run");
        connection.Skipping = missing;
        connection.Scanned = 0;
    }

    private static void Refuse(Connection connection, string code, string words)
    {
        if (connection.Dialect == Dialect.Binary) BinaryProtocol.Refuse(connection, code, words);
        else TextProtocol.Refuse(connection, code, words);
    }

    /// <summary>Whether more of its commands are wanted.</summary>
    private static bool Reads(Connection connection) => !connection.InputEnded && !connection.IsClosing && !connection.WaitsForReader;

    private void Send(Connection connection)
    {
        if (connection.IsClosed) return;
        Output output = connection.Output;
        if (!output.IsEmpty) Flush(connection);
        if (connection.Subscriber is { } subscriber)
        {
            for (int round = 0; round < RoundsPerTurn && subscriber.IsBehind && output.IsEmpty; round++)
            {
                subscriber.GoOn(EventsPerRound);
                Flush(connection);
            }

            if (subscriber.IsTooSlow) Evict(connection);
        }

        if (output.IsEmpty && connection.IsClosing)
        {
            Close(connection);
            return;
        }

        // What had to wait until answers were read, or until its turn came.
        bool hasMore = connection.Input.KeptBytes > 0 || connection.InputEnded;
        if (hasMore && !connection.IsReady && !connection.IsClosing && !connection.WaitsForReader && (connection.Work >= WorkPerTurn || connection.Waited)) BeReady(connection);
        connection.Waited = connection.WaitsForReader;
        if (!connection.IsShort && connection.WaitsForMemory)
        {
            // Its own reading lets it go on, and so does that of the others.
            connection.IsShort = true;
            _short.Add(connection);
        }

        WatchReading(connection);
        Watch(connection);
    }

    private void BeReady(Connection connection)
    {
        connection.IsReady = true;
        _ready.Add(connection);
    }

    /// <summary>Asks epoll for what this connection needs now.</summary>
    private void Watch(Connection connection)
    {
        bool sends = !connection.Output.IsEmpty || connection.Subscriber is { IsBehind: true };
        uint wanted = (Reads(connection) ? Libc.EPOLLIN : 0) | (sends ? Libc.EPOLLOUT : 0);
        if (wanted == connection.Watched) return;
        connection.Watched = wanted;
        _epoll.Change(connection.Descriptor, wanted, connection.Tag);
    }
}
