using System.Buffers;
using MemoryPack;
using MessagePack;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Serializers.Tests;

/// <summary>What both serializers promise, and what they say of types and bytes that they cannot take.</summary>
[TestFixture(2)]
[TestFixture(3)]
internal sealed class SerializerTests(int format) : QueueTest
{
    private ITaskSerializer Serializer => format == 2 ? new MessagePackTaskSerializer() : new MemoryPackTaskSerializer();

    private TaskQueueOptions Use(TaskQueueOptions options) => format == 2 ? options.UseMessagePack() : options.UseMemoryPack();

    [Test]
    public void The_format_has_its_number_in_the_envelope() => Assert.That(Serializer.Format, Is.EqualTo((byte)format));

    [Test]
    public void Values_of_the_usual_types_come_back_as_they_were()
    {
        Assert.That(Copy(new ResizePhoto("ä.jpg", 7, Size.Large)), Is.EqualTo(new ResizePhoto("ä.jpg", 7, Size.Large)));
        Assert.That(Copy(new Point { X = 1.5, Y = -2 }), Is.EqualTo(new Point { X = 1.5, Y = -2 }));
        Assert.That(Copy("text"), Is.EqualTo("text"));
        Assert.That(Copy(42), Is.EqualTo(42));
        Assert.That(Copy(Size.Large), Is.EqualTo(Size.Large));
        Assert.That(Copy(new[] { "a", "b" }), Is.EqualTo(new[] { "a", "b" }));

        Order order = new()
        {
            Id = Guid.NewGuid(),
            Photos = [new("a", 1, Size.Small), new("b", 2, Size.Large)],
            Prices = new() { ["a"] = 1.25m, ["b"] = 0.1m },
            At = new DateTime(2026, 1, 2, 3, 4, 5, 6, DateTimeKind.Utc),
            Within = TimeSpan.FromSeconds(1.5),
            Signature = [1, 2, 3], Note = null,
        };
        Order copy = Copy(order);
        Assert.That(copy, Is.EqualTo(order).UsingPropertiesComparer());
        Assert.That(copy, Is.Not.SameAs(order));
    }

    [TestCase(typeof(Unknown))]
    [TestCase(typeof(List<Unknown>))]
    [TestCase(typeof(Unknown[]))]
    [TestCase(typeof(Dictionary<string, List<Unknown>>))]
    [TestCase(typeof(Stream))]
    public void A_type_that_cannot_be_serialized_is_refused_by_its_name(Type type)
        => Assert.That(Serializer.Refuses(type), Does.StartWith($"no {(format == 2 ? "MessagePack" : "MemoryPack")} formatter for "));

    [TestCase(typeof(ResizePhoto))]
    [TestCase(typeof(Order))]
    [TestCase(typeof(Point))]
    [TestCase(typeof(Size))]
    [TestCase(typeof(string))]
    [TestCase(typeof(int?))]
    [TestCase(typeof(List<ResizePhoto>))]
    [TestCase(typeof(Dictionary<string, Order[]>))]
    [TestCase(typeof((int, string)))]
    public void A_type_that_can_be_serialized_is_not_refused(Type type) => Assert.That(Serializer.Refuses(type), Is.Null);

    [Test]
    public void A_queue_with_such_a_task_is_refused_when_it_is_created()
        => Assert.That(() => new TaskQueue(Use(Options()).AddProducer<Unknown>("unknown")),
            Throws.ArgumentException.With.Message.Contains("task 'unknown': no ")
                .And.Message.Contains($"[{(format == 2 ? "MessagePackObject" : "MemoryPackable")}]"));

    [Test]
    public void Bytes_that_are_no_task_are_an_error_and_so_are_bytes_behind_it()
    {
        byte[] good = Bytes(new ResizePhoto("a", 1, Size.Small));
        foreach (byte[] bad in (byte[][])[[], good[..^1], [.. good, 0], Bytes<ResizePhoto?>(null)])
            Assert.That(() => Serializer.Deserialize<ResizePhoto>(bad),
                Throws.InstanceOf(format == 2 ? typeof(MessagePackSerializationException) : typeof(MemoryPackSerializationException)));
    }

    [Test]
    public async Task A_task_with_its_result_passes_between_two_queues()
    {
        await StartAsync(Use(Options()).AddHandler<Order, ResizePhoto>("orders",
            static (order, _, _) => new ValueTask<ResizePhoto>(order.Photos[0])));
        TaskQueue producer = Make(Use(Options()).AddProducer<Order>("orders"));
        Order order = new() { Photos = [new("first", 9, Size.Large)] };
        TaskReceipt receipt = await producer.EnqueueAsync(order, new() { TrackResult = true });
        Assert.That(await producer.WaitAsync<ResizePhoto>(receipt).Soon(), Is.EqualTo(new ResizePhoto("first", 9, Size.Large)));
    }

    [Test]
    public async Task A_task_is_retried_buried_and_requeued_with_the_same_value()
    {
        List<(string, int)> seen = [];
        bool fails = true;
        TaskQueue worker = await StartAsync(Use(Options().UseInProcess(static o => o.Enabled = false))
            .AddHandler<ResizePhoto>("photos", (photo, context, _) =>
        {
            lock (seen) seen.Add((photo.Path, context.Attempt));
            return Volatile.Read(ref fails) ? throw new IOException("no") : default;
        }, static h => { h.Retries = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(1); }));
        await worker.EnqueueAsync(new ResizePhoto("a.jpg", 7, Size.Small));
        await Eventually.Holds(() => worker.DeadLetters.ListAsync().AsTask().Result.Count == 1);
        Volatile.Write(ref fails, false);
        Assert.That(await worker.DeadLetters.RequeueAsync((await worker.DeadLetters.ListAsync()).Single()), Is.True);
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
        Assert.That(seen, Is.EqualTo(new[] { ("a.jpg", 1), ("a.jpg", 2), ("a.jpg", 1) }));
    }

    [Test]
    public async Task A_worker_with_another_serializer_refuses_instead_of_misreading()
    {
        TaskQueue worker = await StartAsync(Options().UseInProcess(static o => o.Enabled = false)
            .AddHandler<ResizePhoto>("photos", static (_, _, _) => default));
        TaskQueue producer = Make(Use(Options()).AddProducer<ResizePhoto>("photos"));
        await producer.EnqueueAsync(new ResizePhoto("a", 1, Size.Small));
        await Eventually.Holds(() => worker.DeadLetters.ListAsync().AsTask().Result.Count == 1);
        Assert.That((await worker.DeadLetters.ListAsync()).Single().Reason, Does.Contain("format"));
    }

    private T Copy<T>(T value) => Serializer.Deserialize<T>(Bytes(value));

    private byte[] Bytes<T>(T value)
    {
        ArrayBufferWriter<byte> buffer = new();
        Serializer.Serialize(value, buffer);
        return buffer.WrittenMemory.ToArray();
    }
}

/// <summary>What MessagePack alone can be asked for.</summary>
internal sealed class MessagePackOptionsTests
{
    [Test]
    public void Payloads_are_read_as_untrusted_data()
    {
        // 600 arrays, one in the other: more than MessagePackSecurity.UntrustedData allows.
        byte[] deep = [.. Enumerable.Repeat((byte)0x91, 600), 0xC0];
        Assert.That(() => new MessagePackTaskSerializer(MessagePackSerializerOptions.Standard).Deserialize<object>(deep),
            Throws.TypeOf<MessagePackSerializationException>().With.InnerException.InstanceOf<InsufficientExecutionStackException>());
    }

    [Test]
    public void Options_with_compression_are_kept()
    {
        MessagePackTaskSerializer serializer = new(MessagePackSerializerOptions.Standard
            .WithCompression(MessagePackCompression.Lz4BlockArray));
        ArrayBufferWriter<byte> buffer = new();
        string large = new('x', 100_000);
        serializer.Serialize(large, buffer);
        Assert.That(buffer.WrittenCount, Is.LessThan(1_000));
        Assert.That(serializer.Deserialize<string>(buffer.WrittenMemory), Is.EqualTo(large));
    }
}
