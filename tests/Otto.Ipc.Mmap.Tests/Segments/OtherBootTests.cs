using System.Buffers.Binary;
using System.Numerics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// Whatever boot id an opener has, it deletes nothing that somebody could miss.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class OtherBootTests
{
    private static readonly Guid s_otherBoot = Guid.Parse("8d2ec7a9-6f0b-4f19-9f21-c14d35a7a7c1");
    private readonly TestWorkspace _memory = new();
    private readonly TestWorkspace _disk = new(Path.GetTempPath());

    [TearDown]
    public void CleanUp()
    {
        _memory.Dispose();
        _disk.Dispose();
    }

    [Test]
    public void A_container_with_a_boot_id_of_its_own_or_none_works_in_the_queue_that_it_finds_in_memory([Values] bool none)
    {
        using (WorkQueue queue = _memory.Transport.OpenQueue("jobs")) Assert.That(queue.TrySend(Payload.Make(1, 0, 40)), Is.True);
        using PeerProcess worker = _memory.StartIn(none ? Namespaces.NoBootId() : Namespaces.OtherBoot(s_otherBoot), "queue-work", "jobs");
        worker.WaitFor("done 1:0");
        using (WorkQueue queue = _memory.Transport.OpenQueue("jobs")) Assert.That(queue.TrySend(Payload.Make(1, 1, 40_000)), Is.True);
        worker.WaitFor("done 1:1");
        worker.Say("finish");
        Assert.That(worker.WaitForExit(), Is.Zero, worker.Errors);
    }

    [Test]
    public void A_channel_of_another_boot_id_in_memory_is_used_as_it_is([Values("queue", "stream", "topic")] string shape)
    {
        switch (shape)
        {
            case "queue":
                using (WorkQueue queue = _memory.Transport.OpenQueue("it")) queue.TrySend([7]);
                MakeOfOtherBoot(_memory, "it", SegmentShape.Queue);
                using (WorkQueue queue = _memory.Transport.OpenQueue("it"))
                {
                    Assert.That(queue.TryLease(out WorkLease lease), Is.True);
                    Assert.That(lease.Payload.Span[0], Is.EqualTo(7));
                    lease.Complete();
                }

                break;
            case "stream":
                using (MessageSender sender = _memory.Transport.OpenSender("it")) sender.TrySend([7]);
                MakeOfOtherBoot(_memory, "it", SegmentShape.Stream);
                using (MessageReceiver receiver = _memory.Transport.OpenReceiver("it"))
                {
                    Assert.That(receiver.TryReceive(out ReadLease message), Is.True);
                    Assert.That(message.Bytes[0], Is.EqualTo(7));
                    message.Dispose();
                }

                break;
            default:
                using (MessagePublisher publisher = _memory.Transport.OpenPublisher("it")) publisher.TryPublish([7]);
                MakeOfOtherBoot(_memory, "it", SegmentShape.Topic);
                using (MessageSubscriber subscriber = _memory.Transport.OpenSubscriber("it", startAt: StartPosition.Oldest))
                    Assert.That(subscriber.TryReceive(out _), Is.True);
                break;
        }

        Assert.That(new MmapInspector(new MmapTransportOptions { Directory = _memory.Directory }).List().Single().Condition,
            Is.EqualTo(SegmentCondition.Ready));
    }

    [Test]
    public void A_segment_on_a_disk_that_holds_something_is_refused_and_left_alone([Values("queue", "stream")] string shape)
    {
        SkipWhereTemporaryFilesAreInMemory();
        bool isQueue = shape == "queue";
        if (isQueue)
        {
            using WorkQueue queue = _disk.Transport.OpenQueue("it");
            for (int i = 0; i < 10; i++) queue.TrySend([1], TimeSpan.FromHours(i % 2), out _);
        }
        else
        {
            using MessageSender sender = _disk.Transport.OpenSender("it");
            sender.TrySend([1]);
        }

        string path = MakeOfOtherBoot(_disk, "it", isQueue ? SegmentShape.Queue : SegmentShape.Stream);
        byte[] before = File.ReadAllBytes(path);
        var refused = Assert.Throws<SegmentMismatchException>(
            () => { if (isQueue) _disk.Transport.OpenQueue("it"); else _disk.Transport.OpenReceiver("it"); })!;
        Assert.That(refused.Message, Does.Contain(isQueue ? "10 messages" : "16 bytes").And.Contain("otto ipc rm it." + shape));
        MmapInspector inspector = new(new MmapTransportOptions { Directory = _disk.Directory });
        Assert.That(inspector.List().Single().Condition, Is.EqualTo(SegmentCondition.Stale));
        Assert.That(inspector.Clean().Single().Removed, Is.False, "without being told to");
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(before));
        Assert.That(inspector.Clean(new CleanOptions { IncludePending = true, Name = "other" }), Is.Empty);
        Assert.That(inspector.Clean(new CleanOptions { IncludePending = true, Name = "it" }).Single().Removed, Is.True);
    }

    [Test]
    public void A_segment_on_a_disk_that_holds_nothing_is_replaced_whatever_its_sizes()
    {
        SkipWhereTemporaryFilesAreInMemory();
        using (WorkQueue queue = _disk.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 8 }))
        {
            queue.TrySend([1]);
            queue.TryLease(out WorkLease lease);
            lease.Complete();
        }

        MakeOfOtherBoot(_disk, "jobs", SegmentShape.Queue);
        using WorkQueue replaced = _disk.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 32 });
        Assert.That(replaced.Capacity, Is.EqualTo(32));
    }

    [Test]
    public void A_segment_on_a_disk_that_a_container_uses_is_used_too()
    {
        SkipWhereTemporaryFilesAreInMemory();
        using PeerProcess holder = _disk.StartIn(Namespaces.OtherBoot(s_otherBoot), "queue-hold", "jobs", "1");
        holder.WaitFor("ready");
        using WorkQueue queue = _disk.Transport.OpenQueue("jobs");
        queue.TrySend(Payload.Make(1, 1, 40));
        holder.WaitFor("holding");
        Assert.That(queue.GetCounts().Leased, Is.EqualTo(1));
        Assert.That(new MmapInspector(new MmapTransportOptions { Directory = _disk.Directory }).List().Single().Condition,
            Is.EqualTo(SegmentCondition.Ready));
        holder.Say("finish");
        Assert.That(holder.WaitForExit(), Is.Zero, holder.Errors);
    }

    private static string MakeOfOtherBoot(TestWorkspace workspace, string name, SegmentShape shape)
    {
        string path = workspace.PathOf(name, shape);
        using FileStream file = File.Open(path, FileMode.Open);
        byte[] header = new byte[0x80];
        file.ReadExactly(header);
        s_otherBoot.TryWriteBytes(header.AsSpan(0x40), bigEndian: true, out _);
        uint crc = 0xFFFFFFFF;
        for (int i = 0; i < 0x78; i += 8) crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(i)));
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(0x78), ~crc);
        file.Position = 0;
        file.Write(header);
        return path;
    }

    private void SkipWhereTemporaryFilesAreInMemory()
    {
        if (new DriveInfo(_disk.Directory).DriveFormat is "tmpfs" or "ramfs") Assert.Ignore($"{Path.GetTempPath()} is not on a disk");
    }
}
