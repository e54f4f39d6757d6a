using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Head and tail words that cannot be are reported: they look like an empty or a full queue for ever.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class IndexDamageTests
{
    private const int FreeHead = 0, FreeTail = 1, ReadyHead = 2, ReadyTail = 3;
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [TestCase(FreeHead, 1_000_000)]
    [TestCase(FreeHead, -1_000_000)]
    [TestCase(FreeTail, 1_000_000)]
    [TestCase(FreeTail, -500)]
    [TestCase(ReadyHead, 50)]
    [TestCase(ReadyHead, 5_000_000_000)]
    [TestCase(ReadyHead, long.MinValue)]
    [TestCase(ReadyTail, 5_000_000_000)]
    [TestCase(ReadyTail, -500)]
    public void A_head_or_tail_that_cannot_be_is_reported_by_a_call(int word, long value)
    {
        using WorkQueue queue = Open();
        for (int i = 0; i < 4; i++) queue.TrySend([1]);
        Spoil(word, value);
        CorruptSegmentException told = Assert.Throws<CorruptSegmentException>(() =>
        {
            // Free slots and ready messages come to an end, unless a word says so for ever.
            for (int i = 0; i < 1000 && queue.TrySend([1]); i++) { }
            for (int i = 0; i < 1000 && queue.TryLease(out WorkLease lease); i++) lease.Complete();
        })!;
        Assert.That(told.Message, Does.Contain("head").And.Contain("tail"));
    }

    [Test]
    public void A_waiter_is_told_of_words_that_are_spoilt_while_it_waits([Values] bool sends)
    {
        using WorkQueue queue = Open();
        while (sends && queue.TrySend([1])) { }
        Task waiting = Watchdog.RunOnThread(() =>
        {
            while (true)
            {
                if (sends ? queue.TrySend([1]) : queue.TryLease(out _)) continue;
                if (sends) queue.WaitToSend(Timeout.InfiniteTimeSpan);
                else queue.WaitToLease(Timeout.InfiniteTimeSpan);
            }
        });
        Spoil(sends ? FreeHead : ReadyHead, 50_000);
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.TypeOf<CorruptSegmentException>());
    }

    private WorkQueue Open() => _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 32, SlotBytes = 16 });

    private void Spoil(int word, long value)
    {
        string path = _workspace.PathOf("jobs", SegmentShape.Queue);
        using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        long at = new QueueSpec(new MmapQueueOptions { Slots = 32, SlotBytes = 16 }).NewPlan().Control(word);
        RandomAccess.Write(file.SafeFileHandle, BitConverter.GetBytes(value), at);
    }
}
