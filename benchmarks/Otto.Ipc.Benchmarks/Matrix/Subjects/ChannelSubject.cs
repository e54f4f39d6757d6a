using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

/// <summary>A bounded channel between two threads of one process: the reference is handed
/// over, and no byte is copied.</summary>
internal sealed class ChannelSubject : Subject
{
    private const int MostMessages = 1024, RoomBytes = 64 << 20;
    private static readonly ConcurrentDictionary<string, Channel<ArraySegment<byte>>> Channels = new();

    public override string Name => "channel";

    public override string Title => "Channel<T>";

    public override bool IsColumn => true;

    public override bool InProcess => true;

    public override (TransportSpeed Speed, TransportLevel Overhead)? Leaning => (TransportSpeed.VeryFast, TransportLevel.Low);

    public override IReadOnlyList<string> SetUpSteps => ["make the channel"];

    public override string Platforms => "wherever .NET runs";

    public override Workspace OpenWorkspace(bool keep) => new EmptyWorkspace();

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new WriterOutlet(Open(address, channel, options), Capacity(options), options.MaxMessageBytes);

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new ReaderInlet(Open(address, channel, options));

    private static int Capacity(LinkOptions options) => Math.Clamp(RoomBytes / Math.Max(options.MaxMessageBytes, 1), 1, MostMessages);

    private static Channel<ArraySegment<byte>> Open(string address, string channel, LinkOptions options) => Channels.GetOrAdd(
        address + "/" + channel,
        static (_, capacity) => Channel.CreateBounded<ArraySegment<byte>>(new BoundedChannelOptions(capacity) { SingleWriter = true }),
        Capacity(options));

    private sealed class EmptyWorkspace : Workspace
    {
        public override string Address { get; } = Guid.NewGuid().ToString("N");

        public override void Dispose()
        {
        }
    }

    /// <param name="capacity">How many messages wait at most: so many arrays, and two in
    /// hand, take turns, and none is written while it is read.</param>
    /// <param name="bytes">How large they are made.</param>
    private sealed class WriterOutlet(Channel<ArraySegment<byte>> channel, int capacity, int bytes) : Outlet
    {
        // Made before anything is measured; but where there is room for one message alone it is so large
        // that each is made when its turn comes.
        private readonly byte[][] _turns = [.. Enumerable.Range(0, capacity + 2).Select(_ => capacity == 1 ? [] : Message.Create(bytes))];
        private int _turn;

        public override Span<byte> Prepare(int bytes)
        {
            if (++_turn == _turns.Length) _turn = 0;
            ref byte[] buffer = ref _turns[_turn];
            if (buffer.Length != bytes) buffer = Message.Create(bytes);
            return buffer;
        }

        protected override void Send(byte[] buffer, int bytes)
        {
            while (!channel.Writer.TryWrite(new ArraySegment<byte>(_turns[_turn], 0, bytes)))
            {
                using var patience = new CancellationTokenSource(Patience);
                ValueTask<bool> room = channel.Writer.WaitToWriteAsync(patience.Token);
                if (!room.IsCompletedSuccessfully && !room.AsTask().GetAwaiter().GetResult()) throw NoRoom(bytes);
            }
        }

        public override void Complete() => channel.Writer.TryComplete();

        public override void Dispose()
        {
        }
    }

    private sealed class ReaderInlet(Channel<ArraySegment<byte>> channel) : Inlet
    {
        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            bool got = channel.Reader.TryRead(out ArraySegment<byte> segment);
            message = segment;
            return got;
        }

        protected override void Sleep(TimeSpan most)
        {
            ValueTask<bool> wait = channel.Reader.WaitToReadAsync();
            if (wait.IsCompletedSuccessfully) return;
            Task<bool> waiting = wait.AsTask();
            if (waiting.Wait(most) && !waiting.Result) throw new EndOfStreamException("the sender has ended the stream");
        }

        public override void Dispose()
        {
        }
    }
}
