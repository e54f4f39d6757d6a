using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Segments;

// The meter, as a listener hears it.

[TestFixture]
[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MmapMeterTests
{
    private readonly TestWorkspace _workspace = new();
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, long> _counts = new();

    [SetUp]
    public void Listen()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Otto.Ipc.Mmap") listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            string key = instrument.Name;
            foreach (KeyValuePair<string, object?> tag in tags) key += $" {tag.Value}";
            _counts.AddOrUpdate(key, value, (_, before) => before + value);
        });
        _listener.Start();
    }

    [TearDown]
    public void CleanUp()
    {
        _listener.Dispose();
        _workspace.Dispose();
    }

    [Test]
    public void Messages_and_bytes_are_counted_by_channel_shape_and_direction()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("meter-frames");
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("meter-frames");
        using WorkQueue queue = _workspace.Transport.OpenQueue("meter-jobs", new MmapQueueOptions { Slots = 2 });
        MessagePublisher publisher = _workspace.Transport.OpenPublisher("meter-news");
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("meter-news");
        sender.TrySend(new byte[10]);
        receiver.TryReceive(out ReadLease read);
        read.Dispose();
        queue.TrySend(new byte[20]);
        queue.TrySend(new byte[5000]);
        queue.TrySend(new byte[20]);
        queue.TryLease(out WorkLease lease);
        lease.Complete();
        publisher.TryPublish(new byte[30]);
        subscriber.TryReceive(out _);
        publisher.Dispose();
        Assert.That(Count("bytes meter-news topic sent"), Is.EqualTo(30), "an end that closes tells the rest");
        // The housekeeper tells once a second what passed.
        Watchdog.Until(() => Count("messages meter-frames stream sent") == 1 && Count("messages meter-news topic received") == 1,
            "the sums to be told");
        Watchdog.Until(() => Count("bytes meter-frames stream received") == 10, "the receiver's");
        Assert.That(Count("messages meter-jobs queue sent"), Is.EqualTo(2));
        Assert.That(Count("bytes meter-jobs queue sent"), Is.EqualTo(5020));
        Assert.That(Count("bytes meter-jobs queue received"), Is.EqualTo(20));
        Assert.That(Count("full meter-jobs queue"), Is.EqualTo(1));
    }

    [Test]
    public void Wakes_and_reclaims_are_counted()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("meter-jobs");
        Task<bool> waiting = Watchdog.RunOnThread(() => queue.WaitToLease(Timeout.InfiniteTimeSpan));
        Watchdog.Until(() => waiting.IsCompleted || Send(), "the waiter to be woken by a system call");
        using (PeerProcess peer = _workspace.Start("queue-stay", "meter-jobs"))
        {
            peer.WaitFor("ready");
            peer.Kill();
        }

        Watchdog.Until(() => Count("reclaims meter-jobs queue") == 1, "the dead one to be swept");

        bool Send()
        {
            queue.TrySend("x"u8);
            return Count("wakes") > 0;
        }
    }

    private long Count(string name) => _counts.GetValueOrDefault("otto.ipc." + name);
}
