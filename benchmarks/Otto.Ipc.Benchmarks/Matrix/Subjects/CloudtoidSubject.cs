#if WITH_CLOUDTOID
using System.Diagnostics;
using Cloudtoid.Interprocess;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Built only with -p:WithCloudtoid=true, where the package source has Cloudtoid.Interprocess. Neither built
// nor run so far: the source at hand has it not.

/// <summary>The shared-memory queue of Cloudtoid.Interprocess.</summary>
internal sealed class CloudtoidSubject : Subject
{
    private const long Room = 4 << 20;

    public override string Name => "cloudtoid";

    public override string Title => "Cloudtoid.Interprocess";

    // Only the call that waits is alike in its versions 2 and 3; it looks for a while itself before it sleeps.
    public override bool CanStayAwake => false;

    public override Outlet OpenOutlet(string address, string channel, LinkOptions options) =>
        new PublisherOutlet(new QueueFactory().CreatePublisher(Options(address, channel)));

    public override Inlet OpenInlet(string address, string channel, LinkOptions options) =>
        new SubscriberInlet(new QueueFactory().CreateSubscriber(Options(address, channel)), options.MaxMessageBytes);

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

        protected override bool TryReceive(out ReadOnlySpan<byte> message)
        {
            // What never comes ends with the patience of who asked this process.
            message = subscriber.Dequeue(_buffer, CancellationToken.None).Span;
            return true;
        }

        protected override void Sleep(TimeSpan most) => Debug.Fail("a receive has waited already");

        public override void Dispose() => subscriber.Dispose();
    }
}
#endif
