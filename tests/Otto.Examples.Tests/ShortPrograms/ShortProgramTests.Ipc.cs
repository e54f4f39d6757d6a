using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Examples.Tests.ShortPrograms;

// Streams, queues, topics and transports.

internal sealed partial class ShortProgramTests
{
    private MmapTransport Mmap => new(new MmapTransportOptions { Directory = _directory });

    [Test]
    public async Task Receive_every_message_of_a_stream()
    {
        await using MessageReceiver receiver = await Mmap.OpenReceiverAsync("frames");
        await EndOfAsync(SendAsync(), ReceiveAsync());

        async Task SendAsync()
        {
            await using MessageSender sender = await Mmap.OpenSenderAsync("frames");
            for (int i = 0; i < 3; i++) await sender.SendAsync(Encoding.UTF8.GetBytes($"frame {i}"));
            sender.Complete();
        }

        async Task ReceiveAsync()
        {
            int frames = 0;
            await foreach (ReadOnlyMemory<byte> frame in receiver.ReadAllAsync())
                Assert.That(Encoding.UTF8.GetString(frame.Span), Is.EqualTo($"frame {frames++}"));
            Assert.That(frames, Is.EqualTo(3));
        }
    }

    [Test]
    public async Task Work_through_a_queue()
    {
        using var stop = new CancellationTokenSource();
        await using WorkQueue jobs = await Mmap.OpenQueueAsync("jobs", new MmapQueueOptions { Slots = 16 });
        for (byte i = 0; i < 3; i++) await jobs.SendAsync(new[] { i });
        List<byte> done = [];
        try
        {
            await foreach (WorkLease job in jobs.LeaseAllAsync(stop.Token))
            {
                done.Add(job.Payload.Span[0]);
                job.Complete();
                if (done.Count == 3) await stop.CancelAsync();
            }
        }
        catch (OperationCanceledException)
        {
        }

        Assert.That(done, Is.EqualTo(new byte[] { 0, 1, 2 }));
        Assert.That(jobs.GetCounts().Free, Is.EqualTo(jobs.Capacity));
    }

    [Test]
    public async Task Send_and_receive_objects()
    {
        await using MessageReceiver receiver = await Mmap.OpenReceiverAsync("orders");
        await using MessageSender sender = await Mmap.OpenSenderAsync("orders");
        await sender.SendAsync(new Order(7, "tea"), AppJson.Default.Order);
        Order order = await receiver.ReceiveAsync(AppJson.Default.Order);
        Assert.That(order, Is.EqualTo(new Order(7, "tea")));
    }

    [Test]
    public async Task Subscribe_to_a_topic()
    {
        MmapTransport topics = Mmap;
        await using MessagePublisher publisher = await topics.OpenPublisherAsync("prices");
        await publisher.PublishAsync("42"u8.ToArray());
        await foreach (TopicMessage price in topics.SubscribeAsync("prices", StartPosition.Oldest))
        {
            Assert.That((Encoding.UTF8.GetString(price.Payload.Span), price.Lost), Is.EqualTo(("42", 0L)));
            break;
        }
    }

    [Test]
    public async Task Use_two_transports()
    {
        var services = new ServiceCollection();
        services.AddOttoIpc("local", $"mmap://{_directory}/segments");
        services.AddOttoIpc("log", $"files://{_directory}/log");
        await using ServiceProvider provider = services.BuildServiceProvider();
        foreach ((string name, string transport) in new[] { ("local", "mmap"), ("log", "files") })
        {
            IStreamTransport streams = provider.GetRequiredKeyedService<IStreamTransport>(name);
            await using MessageReceiver receiver = await streams.OpenReceiverAsync("lines");
            await using MessageSender sender = await streams.OpenSenderAsync("lines");
            await sender.SendAsync(Encoding.UTF8.GetBytes(transport));
            Assert.That((streams.Name, Encoding.UTF8.GetString((await receiver.ReceiveAsync()).Span)), Is.EqualTo((transport, transport)));
        }
    }
}
