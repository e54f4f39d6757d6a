using System.Collections.Concurrent;
using StackExchange.Redis;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>A Redis stream with a consumer group, through StackExchange.Redis.</summary>
/// <param name="batched">
/// Whether sends are on their way together and entries are taken and acknowledged by the
/// hundred, as it should be done; else each is a round trip.
/// </param>
internal sealed class RedisSubject(bool batched) : Subject
{
    private const int Batch = 256, InFlight = 512, AskEvery = 64;
    private const long RoomMessages = 100_000, RoomBytes = 64 << 20;
    private const string Group = "workers";
    private static readonly ConcurrentDictionary<string, ConnectionMultiplexer> Connections = new();
    private static readonly TimeSpan FallbackPoll = TimeSpan.FromSeconds(1);

    public override string Name => batched ? "redis" : "redis-single";

    public override string Title => batched ? "Redis" : "Redis, one at a time";

    public override bool IsColumn => batched;

    public override string? Missing =>
        RedisWorkspace.IsInstalled ? null : "redis-server is not installed: sudo apt-get install redis-server";

    // A round trip is four commands: 205 µs at best, and 425 on a busy machine.
    public override (TransportSpeed Speed, TransportLevel Overhead)? Leaning => (TransportSpeed.Slow, TransportLevel.High);

    public override IReadOnlyList<string> SetUpSteps =>
        ["install and start redis-server", "connect the receiver", "make the consumer group", "subscribe to the nudge",
            "connect the sender"];

    public override Server Server => Server.Foreign;

    public override string Platforms => "wherever a Redis server can be reached";

    // A bulk string's limit.
    public override long? MaxMessageBytes => 512L << 20;

    public override Workspace OpenWorkspace(bool keep) => new RedisWorkspace(keep);

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new StreamOutlet(Connect(address), channel, batched, options);

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new StreamInlet(Connect(address), channel,
            batched ? Math.Clamp((int)(RoomBytes / 4 / Math.Max(options.MaxMessageBytes, 1)), 1, Batch) : 1);

    public override IEnumerable<DebugCommand> Looks(string address, string channel) =>
    [
        new(Toolbox.General, "redis-cli", $"{RedisWorkspace.CliOf(address)} XRANGE {channel} - +"),
        new(Toolbox.General, "nc",
            $"printf 'AUTH %s\\nXRANGE {channel} - +\\nQUIT\\n' {RedisWorkspace.PasswordOf(address)} | nc 127.0.0.1 "
            + $"{RedisWorkspace.PortOf(address)}"),
    ];

    public override IEnumerable<ShellScript> Scripts(string address, string channel) =>
    [
        new(
            Toolbox.General,
            "redis-cli",
            $"{RedisWorkspace.CliOf(address)} XADD {channel} '*' m \"$MESSAGE\" > /dev/null && {RedisWorkspace.CliOf(address)} PUBLISH "
            + $"{channel}:nudge 1 > /dev/null",
            $"{RedisWorkspace.CliOf(address)} XREADGROUP GROUP {Group} script COUNT 1 STREAMS {channel} '>' | tail -n 1"),
    ];

    // One connection a process, as the client is meant to be used.
    private static ConnectionMultiplexer Connect(string address) => Connections.GetOrAdd(address, static a =>
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(a);
        options.SyncTimeout = 20_000;
        options.AllowAdmin = false;
        return ConnectionMultiplexer.Connect(options);
    });

    private sealed class StreamOutlet(ConnectionMultiplexer connection, string stream, bool batched, LinkOptions options) : Outlet
    {
        private readonly IDatabase _database = connection.GetDatabase();
        private readonly Queue<Task> _onTheirWay = new();
        private readonly int _inFlight = Math.Clamp((int)(RoomBytes / 4 / Math.Max(options.MaxMessageBytes, 1)), 1, InFlight);
        private readonly long _room = Math.Clamp(RoomBytes / Math.Max(options.MaxMessageBytes, 1), 4, RoomMessages);
        private int _sent;

        protected override void Send(byte[] buffer, int bytes)
        {
            if (++_sent % Math.Min(AskEvery, _room) == 0) AwaitRoom();
            // The client sends from the array later: it must be the message's own.
            byte[] own = batched ? buffer.AsSpan(0, bytes).ToArray() : buffer;
            Task<RedisResult> added = _database.ExecuteAsync("XADD", stream, "*", "m", own);
            if (!batched)
            {
                Await(added);
                Nudge();
                return;
            }

            // Whoever sleeps is told at once of a message that comes alone, and of a busy run at its end and now and then.
            while (_onTheirWay.TryPeek(out Task? oldest) && oldest.IsCompleted) _onTheirWay.Dequeue().GetAwaiter().GetResult();
            if (_onTheirWay.Count == 0 || _sent % AskEvery == 0) Nudge();
            _onTheirWay.Enqueue(added);
            if (_onTheirWay.Count > _inFlight) Await(_onTheirWay.Dequeue());
        }

        public override void Flush()
        {
            while (_onTheirWay.TryDequeue(out Task? task)) Await(task);
            Nudge();
        }

        public override void Dispose() => Flush();

        // The client has no time limit for what it does asynchronously.
        private void Await(Task task)
        {
            if (!task.Wait(Patience))
                throw new TimeoutException(
                    $"redis-server did not answer an XADD in {Patience.TotalSeconds:0.#} s; {_onTheirWay.Count:N0} more are on their way");
        }

        private void Nudge() => connection.GetSubscriber().Publish(RedisChannel.Literal(stream + ":nudge"), 1, CommandFlags.FireAndForget);

        // The server takes what it is given: a sender that must not fill it has to ask.
        private void AwaitRoom()
        {
            for (int i = 0; (long)_database.Execute("XLEN", stream) > _room; i++)
            {
                if (i > Patience.TotalMilliseconds) throw NoRoom(0);
                Thread.Sleep(1);
            }
        }
    }

    private sealed class StreamInlet : Inlet
    {
        private readonly IDatabase _database;
        private readonly string _stream;
        private readonly int _count;
        private readonly Queue<(RedisValue Id, byte[] Bytes)> _taken = new();
        private readonly List<object> _done = [];
        private readonly SemaphoreSlim _nudged = new(0);
        private readonly ISubscriber _subscriber;

        public StreamInlet(ConnectionMultiplexer connection, string stream, int count)
        {
            (_stream, _count, _database, _subscriber) = (stream, count, connection.GetDatabase(), connection.GetSubscriber());
            try
            {
                _database.Execute("XGROUP", "CREATE", stream, Group, "0", "MKSTREAM");
            }
            catch (RedisServerException e) when (e.Message.StartsWith("BUSYGROUP", StringComparison.Ordinal))
            {
                // It exists.
            }

            _subscriber.Subscribe(RedisChannel.Literal(stream + ":nudge"), (_, _) => _nudged.Release());
        }

        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            message = default;
            if (_taken.Count == 0)
            {
                Acknowledge();
                Take();
            }

            if (!_taken.TryDequeue(out (RedisValue Id, byte[] Bytes) entry)) return false;
            _done.Add(entry.Id);
            if (_count == 1) Acknowledge();
            message = entry.Bytes;
            return true;
        }

        protected override void Sleep(TimeSpan most)
        {
            // Everything said before this look is old news.
            while (_nudged.Wait(0))
            {
            }

            Take();
            if (_taken.Count == 0) _nudged.Wait(most < FallbackPoll ? most : FallbackPoll);
        }

        public override void Dispose()
        {
            Acknowledge();
            _subscriber.Unsubscribe(RedisChannel.Literal(_stream + ":nudge"));
        }

        private void Take()
        {
            RedisResult answer = _database.Execute("XREADGROUP", "GROUP", Group, "c", "COUNT", _count, "STREAMS", _stream, ">");
            if (answer.IsNull) return;
            foreach (RedisResult entry in (RedisResult[])((RedisResult[])((RedisResult[])answer!)[0]!)[1]!)
            {
                RedisResult[] parts = (RedisResult[])entry!;
                _taken.Enqueue(((RedisValue)parts[0], (byte[])((RedisResult[])parts[1]!)[1]!));
            }
        }

        private void Acknowledge()
        {
            if (_done.Count == 0) return;
            Task acked = _database.ExecuteAsync("XACK", [_stream, Group, .. _done]),
                deleted = _database.ExecuteAsync("XDEL", [_stream, .. _done]);
            if (_count == 1 && !Task.WaitAll([acked, deleted], Patience))
                throw new TimeoutException($"redis-server did not answer an XACK and an XDEL in {Patience.TotalSeconds:0.#} s");
            _done.Clear();
        }
    }
}
