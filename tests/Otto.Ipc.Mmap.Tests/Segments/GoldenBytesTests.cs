using System.Globalization;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;
using Otto.Ipc.Transports;

namespace Otto.Ipc.Mmap.Tests.Segments;

// The bytes in the file, as docs/layouts.md has them: a program in another language attaches by these. The checksums were computed
// by another implementation.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class GoldenBytesTests
{
    private static readonly Guid Id = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"),
        Boot = Guid.Parse("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    private static readonly MmapStreamOptions Stream = new() { Capacity = 4096, MaxSenders = 1 };
    private static readonly MmapQueueOptions Queue = new() { Slots = 2, SlotBytes = 16, MaxAttempts = 5, MaxParticipants = 2 };
    private static readonly MmapTopicOptions Topic =
        new() { Capacity = 4096, MaxPublishers = 1, MaxSubscribers = 2, Policy = SlowSubscriberPolicy.Block };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void The_header_of_a_stream() => Same(
        SegmentLayout.Write(new StreamSpec(Stream).NewPlan(), Id, Boot),
        """
            4F 54 54 4F 49 50 43 31 01 00 00 00 00 00 00 00
            00 10 01 00 00 00 00 00 00 00 01 00 00 00 00 00
            00 10 00 00 00 00 00 00 01 00 00 00 10 00 00 00
            00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF
            0F 1E 2D 3C 4B 5A 69 78 87 96 A5 B4 C3 D2 E1 F0
            01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            00 00 00 00 00 00 00 00 50 19 04 1A 00 00 00 00
            01 00 00 00 00 00 00 00
        """);

    [Test]
    public void The_header_of_a_queue() => Same(
        SegmentLayout.Write(new QueueSpec(Queue).NewPlan(), Id, Boot),
        """
            4F 54 54 4F 49 50 43 31 01 00 00 00 00 00 00 00
            00 10 01 00 00 00 00 00 00 00 01 00 00 00 00 00
            02 00 00 00 00 00 00 00 05 00 00 00 02 00 00 00
            00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF
            0F 1E 2D 3C 4B 5A 69 78 87 96 A5 B4 C3 D2 E1 F0
            10 00 00 00 05 00 00 00 00 00 00 00 00 00 00 00
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            00 00 00 00 00 00 00 00 8A A2 8C 2F 00 00 00 00
            01 00 00 00 00 00 00 00
        """);

    [Test]
    public void A_fresh_stream_says_after_its_participants_that_one_lane_is_in_use_and_nothing_else()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", Stream);
        byte[] file = Bytes("frames", SegmentShape.Stream);
        Assert.That(file, Has.Length.EqualTo(0x11000));
        Assert.That(BitConverter.ToInt64(file, 0x1A80), Is.EqualTo(1), "lanes in use");
        file[0x1A80] = 0;
        Assert.That(file.AsSpan(0x1800).ContainsAnyExcept((byte)0), Is.False);
        // One participant: active, in its entry's first epoch, and it sends.
        Assert.That(BitConverter.ToInt64(file, 0x1000), Is.EqualTo(0x101));
        Assert.That(BitConverter.ToInt32(file, 0x100C), Is.EqualTo(1));
        Assert.That(BitConverter.ToInt32(file, 0x1008), Is.EqualTo(Environment.ProcessId));
    }

    [Test]
    public void Two_frames_of_a_stream()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", Stream);
        sender.TrySend("hello"u8);
        sender.TrySend([]);
        byte[] file = Bytes("frames", SegmentShape.Stream);
        Same(file[0x10000..0x10018], "05 00 00 00 01 00 00 00 68 65 6C 6C 6F 00 00 00 00 00 00 00 01 00 00 00");
        Assert.That(BitConverter.ToInt64(file, 0x1880), Is.EqualTo(24), "tail");
        Assert.That(BitConverter.ToInt64(file, 0x1900), Is.Zero, "head");
    }

    [Test]
    public void The_end_of_the_ring_is_padding()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", Stream);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        for (int i = 0; i < 2; i++)
        {
            sender.TrySend(new byte[2032]); // 2,040 bytes each with their headers
            receiver.TryReceive(new byte[2032], out _);
        }

        sender.TrySend(new byte[16]);
        byte[] file = Bytes("frames", SegmentShape.Stream);
        Same(file[0x10FF0..0x10FF8], "08 00 00 00 FF FF FF FF");
        Same(file[0x10000..0x10008], "10 00 00 00 01 00 00 00");
        Assert.That(BitConverter.ToInt64(file, 0x1880), Is.EqualTo(4096 + 24), "tail");
    }

    [Test]
    public void The_header_of_a_topic() => Assert.That(
        Convert.ToHexString(SegmentLayout.Write(new TopicSpec(Topic).NewPlan(), Id, Boot).AsSpan(0x20, 0x10))
        + Convert.ToHexString(SegmentLayout.Write(new TopicSpec(Topic).NewPlan(), Id, Boot).AsSpan(0x50, 8)),
        Is.EqualTo("0010000000000000" + "03000000" + "03000000" + "01000000" + "01000000"));

    [Test]
    public void Two_frames_of_a_topic_and_its_holder()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", Topic);
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        publisher.TryPublish("hello"u8);
        publisher.TryPublish([]);
        byte[] file = Bytes("news", SegmentShape.Topic);
        // 1000 + 3 participants of 80: the control words begin at 1180. Frames of 20 and 10 bytes, then the number of the next message.
        Same(file[0x10000..0x10040], """
            05 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
            68 65 6C 6C 6F 00 00 00 00 00 00 00 00 00 00 00
            00 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00
            00 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
            """);
        Assert.That(BitConverter.ToInt64(file, 0x1200), Is.EqualTo(0x30), "tail");
        Assert.That(BitConverter.ToInt64(file, 0x1280), Is.EqualTo(0x100), "intent: a sixteenth of the ring at a time");
        Assert.That(BitConverter.ToInt64(file, 0x1300), Is.Zero, "oldest");
        Assert.That(BitConverter.ToInt64(file, 0x1400), Is.EqualTo(1), "lanes in use");
        // Participant 1 is the first that can subscribe: its place is the word behind that, held in its first epoch; it has read nothing.
        Assert.That(BitConverter.ToInt64(file, 0x1480), Is.EqualTo(0x101), "place");
        while (subscriber.TryReceive(out _)) { }
        Assert.That(BitConverter.ToInt64(Bytes("news", SegmentShape.Topic), 0x1500), Is.EqualTo(0x30), "position");
    }

    [Test]
    public void A_topic_has_the_documented_bytes()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", Topic);
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        publisher.TryPublish("hello"u8);
        publisher.TryPublish([]);
        while (subscriber.TryReceive(out _)) { }
        byte[] file = Bytes("news", SegmentShape.Topic), documented = DocumentedBytes.Read("golden-topic", 0x11000);
        Assert.That(Convert.ToHexString(file.AsSpan(0x1180)), Is.EqualTo(Convert.ToHexString(documented.AsSpan(0x1180))));
    }

    [Test]
    public void A_fresh_queue()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Queue);
        byte[] file = Bytes("jobs", SegmentShape.Queue);
        Assert.That(file, Has.Length.EqualTo(0x11000));
        // Control words: free tail is 2, nothing is delayed, all others zero.
        Assert.That(BitConverter.ToInt64(file, 0x1180), Is.EqualTo(2));
        Same(file[0x1480..0x1488], "00 00 00 FF FF FF FF FF");
        for (int i = 0; i < 7; i++)
        {
            if (i != 1) Assert.That(BitConverter.ToInt64(file, 0x1100 + i * 0x80), Is.Zero, $"control word {i}");
        }

        // 128 cells of the free index queue: slots 0 and 1 of cycle 0, the rest of the cycle before; 128 of the ready one.
        Same(file[0x10000..0x10018], "00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 FF FF FF FF");
        for (int i = 2; i < 256; i++) Assert.That(BitConverter.ToInt64(file, 0x10000 + i * 8), Is.EqualTo(-1L << 32), $"cell {i}");
        // When to look at the delayed of the first 128 slots: never.
        Same(file[0x10800..0x10808], "00 00 00 FF FF FF FF FF");
        // Nothing is kept, so there is never anything to drop.
        Same(file[0x1580..0x1588], "FF FF FF FF FF FF FF 7F");
        // Two slots of 0x180 bytes, Released on lap 0, and two buckets of the index from 10B80: all zero.
        Assert.That(file.AsSpan(0x10840).ContainsAnyExcept((byte)0), Is.False);
    }

    [Test]
    public void A_message_in_a_queue()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Queue);
        queue.TrySend("hello"u8);
        byte[] file = Bytes("jobs", SegmentShape.Queue);
        // Filled (2) by participant 0, no attempts, lap 1; length 5, kind 0.
        Same(file[0x10840..0x10850], "02 00 00 01 00 00 00 00 05 00 00 00 00 00 00 00");
        // Not before: zero. The use is the lap that the slot had when it was claimed. No note.
        Same(file[0x10858..0x1086C], "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
        Same(file[0x10870..0x10875], "68 65 6C 6C 6F");
        // Its cell: cycle 0, lap 1, slot 0. The ready tail is 1, the free head too.
        Same(file[0x10400..0x10408], "00 00 10 00 00 00 00 00");
        Assert.That((BitConverter.ToInt64(file, 0x1280), BitConverter.ToInt64(file, 0x1100)), Is.EqualTo((1, 1)));
    }

    [Test]
    public void A_delayed_message_and_a_cancelled_one_in_a_queue()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Queue);
        queue.TrySend("later"u8, TimeSpan.FromHours(1), out _);
        byte[] file = Bytes("jobs", SegmentShape.Queue);
        // Delayed (5) by participant 0, still lap 0, since nobody owes it a cell; and when to look is its time, version 1.
        Same(file[0x10840..0x10848], "05 00 00 00 00 00 00 00");
        Assert.That(BitConverter.ToInt64(file, 0x1480), Is.EqualTo(BitConverter.ToInt64(file, 0x10858) << 24 | 1));
        Assert.That(BitConverter.ToInt64(file, 0x10800), Is.EqualTo(BitConverter.ToInt64(file, 0x1480)), "its group has the same");
        queue.TrySend("first"u8);
        queue.TryLease(out WorkLease lease);
        lease.Abandon(countAttempt: true);
        queue.TrySend([], TimeSpan.Zero, out WorkId full);
        Assert.That(full, Is.EqualTo(default(WorkId)), "two slots, both taken");
        Assert.That(queue.Cancel(WorkId.FromToken(new SlotToken(0, 1))), Is.True);
        // At the head of ready, so it was released at once: Released by participant 0, lap 3 (ready, ready again, released).
        Same(Bytes("jobs", SegmentShape.Queue)[0x109C0..0x109C8], "00 00 00 03 00 00 00 00");
    }

    [Test]
    public void A_message_with_labels_and_its_result_in_a_queue()
    {
        using var queue = (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs", Queue);
        queue.TrySend("hi"u8, new MessageLabels { Id = new UInt128(0x11, 0x22), Key = 0x33, KeepResult = TimeSpan.FromSeconds(5) },
            TimeSpan.Zero, null);
        byte[] file = Bytes("jobs", SegmentShape.Queue);
        // Kind 0; tags: an id, a key, a result is kept.
        Same(file[0x1084C..0x10850], "00 07 00 00");
        // Behind the payload of 16: the id, low half first, and the key.
        Same(file[0x10880..0x10898], "22 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 33 00 00 00 00 00 00 00");
        // Kept for 5 s; participant 0 wanted it Filled (2).
        Same(file[0x108A0..0x108A8], "05 00 00 00 02 00 00 00");
        // Its two cells: used, of slot 0 and its use 0. Their places and tags follow from the hashes.
        long[] cells = [.. Enumerable.Range(0, 32).Where(static i => i % 16 != 0).Select(i => BitConverter.ToInt64(file, 0x10B80 + i * 8))
            .Where(static cell => cell != 0)];
        Assert.That(cells, Has.Length.EqualTo(2).And.All.Negative);
        Assert.That(cells.Select(static cell => cell & 0xFFF_FFFF_FFFF), Is.All.Zero);
        queue.TryLease(out WorkLease lease);
        lease.Complete("ok"u8);
        file = Bytes("jobs", SegmentShape.Queue);
        // Kept (9), owned by nobody, still lap 1; two bytes, here.
        Same(file[0x10840..0x10848], "F9 FF 00 01 00 00 00 00");
        Same(file[0x108A8..0x108B0], "02 00 00 00 00 00 00 00");
        Same(file[0x108B8..0x108BA], "6F 6B");
        // One result is kept.
        Same(file[0x1500..0x1510], "00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00");
    }

    [Test]
    public void A_block_and_the_message_that_names_it()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Queue with { SlotBytes = 24 });
        queue.TrySend(new byte[5000]);
        // Kind 1, length of the message; then block 0, its file, generation 0, 5,000 bytes. Files are counted from anywhere.
        byte[] file = Bytes("jobs", SegmentShape.Queue);
        string pool = Directory.GetFiles(_workspace.Directory, "*.pool").Single();
        byte[] number = File.ReadAllBytes(pool)[0x10010..0x10014];
        string first = string.Join(' ', number.Select(b => b.ToString("X2", CultureInfo.InvariantCulture)));
        Same(file[0x10848..0x10850], "88 13 00 00 01 00 00 00");
        Same(file[0x10870..0x10884], $"00 00 00 00 {first} 00 00 00 00 00 00 00 00 88 13 00 00");
        string id = Convert.ToHexString(file.AsSpan(0x30, 4)).ToLowerInvariant();
        Assert.That(Path.GetFileName(pool), Is.EqualTo($"jobs.queue-{id}.pool"));
        Assert.That(new FileInfo(Path.Combine(_workspace.Directory, $"jobs.queue-{id}.0-{BitConverter.ToInt32(number)}.block")).Length,
            Is.EqualTo(8192));
        byte[] entries = File.ReadAllBytes(pool);
        Same(entries[0x28..0x30], "04 00 00 00 20 00 00 00");
        // Sent (4), nobody holds it; 8,192 bytes in its file.
        Same(entries[0x10000..0x10018], $"00 00 00 00 04 00 00 00 00 20 00 00 00 00 00 00 {first} 00 00 00 00");
        queue.TryLease(out WorkLease lease);
        lease.Complete();
        Same(File.ReadAllBytes(pool)[0x10000..0x10008], "00 00 00 00 10 00 00 00"); // Free, generation 1
    }

    private byte[] Bytes(string name, SegmentShape shape) => File.ReadAllBytes(_workspace.PathOf(name, shape));

    private static void Same(byte[] actual, string expected)
    {
        byte[] bytes = [.. expected.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(
            hex => byte.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
        Assert.That(Convert.ToHexString(actual), Is.EqualTo(Convert.ToHexString(bytes)));
    }
}
