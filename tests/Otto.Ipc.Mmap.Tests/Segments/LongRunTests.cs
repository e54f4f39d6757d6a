using System.Runtime.CompilerServices;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// A process, or a segment, that is used for years: every counter is started near its end and passes it.

[TestFixture]
[NonParallelizable] // What the maintenance thread met last is the process's.
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LongRunTests
{
    private static readonly MmapQueueOptions Options = new() { Slots = 8, SlotBytes = 32 };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void The_counter_of_looks_at_the_files_of_blocks_passes_its_end()
    {
        SegmentFile channel = SegmentFile.OpenOrCreate(_workspace.Directory, "jobs", new QueueSpec(Options));
        LoanPool pool = LoanPool.Open(channel, 5, new NoMessages(), writableViews: false);
        Assert.That(pool.TryBorrow(100, out BlockDescriptor block, out _), Is.True);
        Looked(pool) = int.MaxValue - 100;
        for (int i = 0; i < 5; i++) pool.RunMaintenance();
        Assert.That(Looked(pool), Is.Negative, "it is past its end");
        Assert.That(pool.ReturnBlock(block), Is.True);
        pool.Close();
        channel.Close();
    }

    [Test]
    public void The_numbers_of_the_files_of_a_block_pass_their_end()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Options);
        Assert.That(queue.TryLoan(100, out Loan loan), Is.True);
        loan.Dispose();
        string path = Directory.GetFiles(_workspace.Directory, "*.pool").Single();
        using (FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            SegmentPlan plan = new PoolSpec(Options.Slots!.Value + 64).NewPlan();
            for (int i = 0; i < plan.Capacity; i++)
            {
                long entry = plan.DataOffset + (long)i * PoolLayout.EntryBytes;
                RandomAccess.Write(file.SafeFileHandle, BitConverter.GetBytes(int.MaxValue - 1), entry + PoolLayout.File);
                RandomAccess.Write(file.SafeFileHandle, BitConverter.GetBytes(0L), entry + PoolLayout.Size);
            }
        }

        foreach (string block in Directory.GetFiles(_workspace.Directory, "*.block")) File.Delete(block);
        // Each size asks for another file of an entry, again and again.
        for (int i = 0; i < 400; i++)
        {
            byte[] message = Payload.Make(1, i, 5000 << (i % 8));
            Assert.That(queue.TrySend(message), Is.True);
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(lease.Payload.Span.SequenceEqual(message), Is.True);
            lease.Complete();
        }
    }

    [Test]
    public void Cells_laps_and_versions_of_a_queue_pass_their_ends()
    {
        SegmentFile segment = SegmentFile.OpenOrCreate(_workspace.Directory, "jobs", new QueueSpec(Options));
        SegmentMapping map = segment.Mapping;
        var layout = new QueueLayout(segment.Plan);
        const long Lap = 0xFF_FFFF_FFFF - 50;
        long first = (long)int.MaxValue * layout.Cells - 100; // Tickets; the cycle of a cell is the high part.
        for (int i = 0; i < layout.Cells; i++)
        {
            long ticket = first + i;
            long at = (ticket & (layout.Cells - 1)) * 8;
            int cycle = (int)(ticket / layout.Cells);
            map.Long(layout.FreeCells + at) = IndexCell.Make(i < layout.Slots ? cycle : cycle - 1, Lap, i < layout.Slots ? i : 0);
            map.Long(layout.ReadyCells + at) = IndexCell.Make(cycle - 1, 0, 0);
        }

        for (int i = 0; i < layout.Slots; i++)
            map.Long(layout.Slot(i)) = SlotWord.Make(SlotState.Released, SlotWord.NoOwner, attempts: 0, Lap);
        map.Long(segment.Plan.Control(0)) = first;
        map.Long(segment.Plan.Control(1)) = first + layout.Slots;
        map.Long(segment.Plan.Control(2)) = map.Long(segment.Plan.Control(3)) = first;
        map.Int(segment.Plan.Control(4)) = map.Int(segment.Plan.Control(5)) = int.MaxValue - 7; // Bells.
        map.Int(segment.Plan.Control(6)) = int.MaxValue - 1; // Membership.
        map.Long(segment.Plan.Control(7)) = DelayedSlots.Initial | 0xFF_FFF0;
        map.Long(layout.GroupWord(0)) = DelayedSlots.Initial | 0xFF_FFF0;
        segment.Close();

        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs"), worker = _workspace.Transport.OpenQueue("jobs");
        for (int i = 0; i < 400; i++)
        {
            worker.SetConsumer(i % 2 == 0);
            Assert.That(queue.OtherConsumers, Is.EqualTo(1 - i % 2));
            Assert.That(queue.TrySend(BitConverter.GetBytes(i), TimeSpan.FromMilliseconds(i % 3 == 0 ? 1 : 0), out WorkId id), Is.True);
            if (i % 7 == 0 && queue.Cancel(id)) continue;
            Assert.That(worker.WaitToLease(Watchdog.Limit), Is.True);
            Assert.That(worker.TryLease(out WorkLease lease), Is.True, $"message {i}");
            Assert.That(BitConverter.ToInt32(lease.Payload.Span), Is.EqualTo(i));
            Assert.That(i % 5 == 0 ? lease.Abandon(countAttempt: false, TimeSpan.Zero) : lease.Complete(), Is.True);
            if (i % 5 != 0) continue;
            Assert.That(worker.TryLease(out lease), Is.True);
            lease.Complete();
        }

        Assert.That(queue.GetCounts().Free, Is.EqualTo(8));
    }

    [Test]
    public async Task The_sequence_of_a_bell_passes_its_end()
    {
        SegmentFile segment = SegmentFile.OpenOrCreate(_workspace.Directory, "jobs", new QueueSpec(Options));
        var bell = new Doorbell(segment.Mapping, segment.Plan.Control(4));
        bell.Word = int.MaxValue - 40;
        for (int i = 0; i < 40; i++)
        {
            Task waiting = AsyncDoorbells.WaitAsync(bell, bell.Value).AsTask();
            bell.Ring();
            await Watchdog.WaitAsync(waiting);
        }

        Assert.That(bell.Word, Is.Negative);
        segment.Close();
    }

    [Test]
    public void A_round_that_throws_anything_ends_neither_the_process_nor_the_rounds_of_others()
    {
        var bad = new Failing();
        var good = new Counting();
        MaintenanceThread.Register(bad);
        MaintenanceThread.Register(good);
        Watchdog.Until(() => good.Rounds > 1 && bad.Rounds > 1, "two rounds");
        Assert.That(MaintenanceThread.LastFailure, Is.InstanceOf<IndexOutOfRangeException>());
        MaintenanceThread.Unregister(bad);
        MaintenanceThread.Unregister(good);
    }

    [Test]
    public void An_action_of_a_round_that_throws_does_not_keep_the_others_from_running()
    {
        MaintenanceRound round = default;
        List<int> ran = [];
        round.Run(() => throw new CorruptSegmentException("first"));
        round.Run(() => ran.Add(2));
        round.Run(() => throw new InvalidOperationException("third"));
        round.Run(() => ran.Add(4));
        Assert.That(ran, Is.EqualTo(new[] { 2, 4 }));
        Assert.Throws<CorruptSegmentException>(() => round.ThrowIfFailed());
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_looked")]
    private static extern ref int Looked(LoanPool pool);

    private sealed class NoMessages : IBlockReferences
    {
        public bool AddReferences(HashSet<(int Block, long Generation)> references) => true;
    }

    private sealed class Failing : IMaintained
    {
        public volatile int Rounds;

        public void RunMaintenance()
        {
            Rounds++;
            throw new IndexOutOfRangeException();
        }
    }

    private sealed class Counting : IMaintained
    {
        public volatile int Rounds;

        public void RunMaintenance() => Rounds++;
    }
}
