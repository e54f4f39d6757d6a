#if WITH_CLOUDTOID
using Cloudtoid.Interprocess;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Built only with -p:WithCloudtoid=true, where the package source has Cloudtoid.Interprocess (3.x).

/// <summary>The shared-memory queue of Cloudtoid.Interprocess.</summary>
internal sealed class CloudtoidSubject : Subject
{
    private const long Room = 4 << 20;

    public override string Name => "cloudtoid";

    public override string Title => "Cloudtoid.Interprocess";

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) => new PublisherOutlet(new QueueFactory().CreatePublisher(Options(address, channel)));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) => new SubscriberInlet(new QueueFactory().CreateSubscriber(Options(address, channel)), options.MaxMessageBytes);

    private static QueueOptions Options(string address, string channel) => new(channel, address, Room);

    private sealed class PublisherOutlet(IPublisher publisher) : Outlet
    {
        protected override void Send(byte[] buffer, int bytes)
        {
            for (long start = Environment.TickCount64; !publisher.TryEnqueue(buffer.AsSpan(0, bytes)); Thread.Yield())
            {
                if (Environment.TickCount64 - start > Patience.TotalMilliseconds) throw NoRoom(bytes);
            }
        }

        public override void Dispose() => publisher.Dispose();
    }

    private sealed class SubscriberInlet(ISubscriber subscriber, int most) : Inlet
    {
        private readonly byte[] _buffer = new byte[most];
        private bool _slept;
        private ReadOnlyMemory<byte> _message;

        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            bool got = _slept || subscriber.TryDequeue(_buffer, CancellationToken.None, out _message);
            _slept = false;
            message = got ? _message.Span : default;
            return got;
        }

        protected override void Sleep(TimeSpan most)
        {
            using var patience = new CancellationTokenSource(most);
            try
            {
                _message = subscriber.Dequeue(_buffer, patience.Token);
                _slept = true;
            }
            catch (OperationCanceledException)
            {
                // Nothing came.
            }
        }

        public override void Dispose() => subscriber.Dispose();
    }
}
#endif
