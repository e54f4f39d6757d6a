using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Many messages of one delay, in a larger queue than the suite's: what falls due together comes as it was sent.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DelayedMessageTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Hundreds_of_one_delay_come_in_the_order_of_sending()
    {
        const int Messages = 500;
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 512, SlotBytes = 16 });
        TimeSpan delay = TimeSpan.FromMilliseconds(60);
        for (int i = 0; i < Messages; i++) Assert.That(queue.TrySend(BitConverter.GetBytes(i), delay, out _), Is.True);
        long start = Stopwatch.GetTimestamp();
        Watchdog.Until(() => Stopwatch.GetElapsedTime(start) > delay * 2, "all to be due");
        for (int i = 0; i < Messages; i++)
        {
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(BitConverter.ToInt32(lease.Payload.Span), Is.EqualTo(i));
            lease.Complete();
        }
    }

    [Test]
    public void Every_delay_of_a_large_queue_comes_exactly_once_beside_its_senders()
    {
        const int Messages = 3000;
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 5000, SlotBytes = 16 });
        Thread[] senders = [.. Enumerable.Range(0, 3).Select(s => new Thread(() =>
        {
            var own = new Random(s);
            for (int i = 0; i < Messages / 3; i++)
            {
                Assert.That(queue.TrySend(BitConverter.GetBytes(s * Messages + i), TimeSpan.FromMilliseconds(own.Next(1, 300)), out _),
                    Is.True);
            }
        }))];
        foreach (Thread sender in senders) sender.Start();
        var seen = new HashSet<int>();
        Watchdog.Until(() =>
        {
            while (queue.TryLease(out WorkLease lease))
            {
                Assert.That(seen.Add(BitConverter.ToInt32(lease.Payload.Span)), Is.True);
                lease.Complete();
            }

            return seen.Count == Messages;
        }, "every message");
        foreach (Thread sender in senders) sender.Join();
        Assert.That(queue.GetCounts().Free, Is.EqualTo(5000));
    }

    [Test]
    public void A_look_for_what_is_due_does_not_look_at_every_slot_of_a_large_queue()
    {
        const int Slots = 100_000;
        QueueSpec spec = new(new MmapQueueOptions { Slots = Slots, SlotBytes = 8 });
        SegmentFile segment = SegmentFile.OpenOrCreate(_workspace.Directory, "jobs", spec);
        var layout = new QueueLayout(segment.Plan);
        var delayed = new DelayedSlots(segment.Mapping, layout, segment.Plan.Control(7));
        // A slot that nobody announced: only a look at its group finds it.
        Mark(Slots - 1, due: 1);
        Mark(300, due: 1);
        delayed.Lower(300, 1);
        List<int> promoted = [];
        Assert.That(delayed.Promote(now: 2, Promote), Is.EqualTo(1));
        Assert.That(promoted, Is.EqualTo(new[] { 300 }));
        delayed.Lower(Slots - 2, 5);
        Assert.That(delayed.Promote(now: 4, Promote), Is.Zero);
        Assert.That(delayed.LookAt, Is.EqualTo(5));
        Assert.That(delayed.Promote(now: 5, Promote), Is.EqualTo(1), "the group of the last slots is due now");
        Assert.That(delayed.LookAt, Is.EqualTo(DelayedSlots.None));
        segment.Close();

        void Mark(int slot, long due)
        {
            segment.Mapping.Long(layout.Slot(slot)) = SlotWord.Make(SlotState.Delayed, 1, 0, 1);
            segment.Mapping.Long(layout.Slot(slot) + QueueLayout.NotBefore) = due;
        }

        bool Promote(int slot, long word)
        {
            promoted.Add(slot);
            segment.Mapping.Long(layout.Slot(slot)) = SlotWord.Move(word, SlotState.Filled, 1);
            return true;
        }
    }
}
