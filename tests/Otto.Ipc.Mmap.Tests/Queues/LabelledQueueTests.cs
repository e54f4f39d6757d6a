using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Messages with ids and keys, results that stay until they are collected, and messages that are passed over.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LabelledQueueTests : IDisposable
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly TestWorkspace _workspace = new();
    private readonly LabelledWorkQueue _queue;

    public LabelledQueueTests() => _queue = Open(64);

    private LabelledWorkQueue Open(int slots, string name = "jobs", TimeSpan? retention = null) => (LabelledWorkQueue)_workspace.Transport
        .OpenQueue(name, new MmapQueueOptions { Slots = slots, SlotBytes = 64, DeadLetterRetention = retention ?? TimeSpan.FromDays(1) });

    public void Dispose()
    {
        _queue.Dispose();
        _workspace.Dispose();
    }

    [Test]
    public void A_message_is_found_by_its_id_through_its_life()
    {
        Assert.That(Send(7).Status, Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(_queue.Find(7, out WorkId id), Is.EqualTo(MessageState.Waiting));
        Assert.That(_queue.Find(8, out _), Is.EqualTo(MessageState.Unknown));
        _queue.TryLease(out WorkLease lease);
        Assert.That(_queue.Find(7, out _), Is.EqualTo(MessageState.Held));
        lease.Abandon(countAttempt: true, TimeSpan.FromHours(1));
        Assert.That(_queue.Find(7, out WorkId again), Is.EqualTo(MessageState.Waiting));
        Assert.That(again, Is.EqualTo(id));
        Assert.That(_queue.Cancel(id), Is.True);
        Assert.That(_queue.Find(7, out _), Is.EqualTo(MessageState.Unknown), "nobody waits for a result");
    }

    [Test]
    public void A_result_stays_until_one_collects_it([Values(0, 10, 208, 209, 100_000)] int bytes, [Values] bool large)
    {
        byte[] result = new byte[bytes], message = new byte[large ? 1000 : 20];
        new Random(1).NextBytes(result);
        _queue.TrySend(message, new MessageLabels { Id = 7, KeepResult = Minute }, TimeSpan.Zero, null);
        Assert.That(_queue.TryTakeResult(7, out _), Is.EqualTo(MessageState.Waiting));
        _queue.TryLease(out WorkLease lease);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo(message));
        Assert.That(lease.Complete(result), Is.True);
        Assert.That(lease.Complete(result), Is.False, "ended");
        Assert.That(_queue.GetCounts(), Has.Property("Results").EqualTo(1).And.Property("Leased").Zero.And.Property("Free").EqualTo(63));
        using (LabelledWorkQueue other = (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs"))
        {
            Assert.That(other.TryTakeResult(7, out byte[] taken), Is.EqualTo(MessageState.Done));
            Assert.That(taken, Is.EqualTo(result));
        }

        Assert.That(_queue.TryTakeResult(7, out _), Is.EqualTo(MessageState.Unknown), "collected");
        Assert.That(_queue.GetCounts(), Has.Property("Results").Zero.And.Property("Free").EqualTo(64));
        if (large || bytes > 208) Watchdog.Until(() => LentBlocks() == 0, "every block to be free again");
    }

    [Test]
    public void Of_many_who_ask_one_gets_the_result()
    {
        int got = 0;
        for (int i = 1; i <= 200; i++)
        {
            Send((UInt128)i, keep: Minute);
            _queue.TryLease(out WorkLease lease);
            lease.Complete([1, 2, 3]);
            Parallel.For(0, 4, _ =>
            {
                if (_queue.TryTakeResult((UInt128)i, out byte[] result) == MessageState.Done && result is [1, 2, 3])
                    Interlocked.Increment(ref got);
            });
        }

        Assert.That(got, Is.EqualTo(200));
    }

    [Test]
    public void A_cancellation_and_a_dead_letter_are_results_too()
    {
        Send(1, keep: Minute);
        Send(2, keep: Minute, delay: TimeSpan.FromHours(1));
        Send(3, keep: Minute);
        foreach (int id in (int[])[1, 2])
        {
            _queue.Find((UInt128)id, out WorkId work);
            Assert.That(_queue.Cancel(work), Is.True);
            Assert.That(_queue.TryTakeResult((UInt128)id, out _), Is.EqualTo(MessageState.Cancelled));
            Assert.That(_queue.TryTakeResult((UInt128)id, out _), Is.EqualTo(MessageState.Unknown));
        }

        _queue.TryLease(out WorkLease lease);
        lease.DeadLetter("no way");
        Assert.That(_queue.TryTakeResult(3, out byte[] reason), Is.EqualTo(MessageState.Dead));
        Assert.That(System.Text.Encoding.UTF8.GetString(reason), Is.EqualTo("no way"));
        Assert.That(_queue.GetDeadLetters(), Has.Count.EqualTo(1));
    }

    [Test]
    public void A_result_goes_when_its_time_is_over()
    {
        Send(1, keep: TimeSpan.FromSeconds(1));
        _queue.TryLease(out WorkLease lease);
        lease.Complete([1]);
        Assert.That(_queue.GetCounts().Results, Is.EqualTo(1));
        Watchdog.Until(() => _queue.GetCounts().Free == 64, "the result to go");
        Assert.That(_queue.GetCounts(), Has.Property("Results").Zero.And.Property("DroppedResults").EqualTo(1));
        Assert.That(_queue.TryTakeResult(1, out _), Is.EqualTo(MessageState.Unknown));
    }

    [Test]
    public void Results_of_a_sender_that_is_dead_make_room_in_a_full_queue_and_those_of_a_live_one_do_not()
    {
        using (LabelledWorkQueue other = (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs"))
        {
            for (int i = 1; i <= 32; i++)
                other.TrySend([1], new MessageLabels { Id = (UInt128)i, KeepResult = Minute }, TimeSpan.Zero, null);
            for (int i = 33; i <= 64; i++) Send((UInt128)i, keep: Minute);
            while (_queue.TryLease(out WorkLease lease)) lease.Complete([1]);
            Assert.That(_queue.TrySend([1]), Is.False, "both live");
        }

        Watchdog.Until(() => _queue.TrySend([1]), "room");
        for (int i = 33; i <= 64; i++) Assert.That(_queue.TryTakeResult((UInt128)i, out _), Is.EqualTo(MessageState.Done));
    }

    [Test]
    public void Dead_letters_keep_to_half_of_the_slots_and_the_oldest_go()
    {
        for (int i = 0; i < 200; i++)
        {
            Assert.That(_queue.TrySend([(byte)i]), Is.True, $"{i}");
            _queue.TryLease(out WorkLease lease);
            lease.DeadLetter("no way");
        }

        WorkQueueCounts counts = _queue.GetCounts();
        Assert.That(counts.Dead, Is.LessThanOrEqualTo(32).And.GreaterThan(20));
        Assert.That(counts.DroppedDeadLetters, Is.EqualTo(200 - counts.Dead));
        Assert.That(_queue.GetDeadLetters().Select(static letter => letter.Payload.Span[0]), Is.EquivalentTo(
            Enumerable.Range(200 - counts.Dead, counts.Dead)));
    }

    [Test]
    public void A_dead_letter_goes_when_its_time_is_over()
    {
        using LabelledWorkQueue queue = Open(8, "short", TimeSpan.FromMilliseconds(100));
        queue.TrySend([1]);
        queue.TryLease(out WorkLease lease);
        lease.DeadLetter("no way");
        Watchdog.Until(() => queue.GetCounts() is { Dead: 0, Free: 8, DroppedDeadLetters: 1 }, "the dead letter to go");
    }

    [Test]
    public void A_key_is_taken_while_its_message_lives_and_free_afterwards()
    {
        Assert.That(SendKey(1, 5).Status, Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(SendKey(2, 5), Is.EqualTo(new LabelledSendResult(LabelledSendStatus.KeyTaken, 1)));
        Assert.That(SendKey(3, 6).Status, Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(_queue.GetCounts().Ready, Is.EqualTo(2));
        _queue.TryLease(out WorkLease lease);
        Assert.That(SendKey(2, 5).Status, Is.EqualTo(LabelledSendStatus.KeyTaken), "held");
        lease.Abandon(countAttempt: true, TimeSpan.FromHours(1));
        Assert.That(SendKey(2, 5).Status, Is.EqualTo(LabelledSendStatus.KeyTaken), "delayed");
        _queue.Find(1, out WorkId id);
        _queue.Cancel(id);
        Assert.That(SendKey(2, 5).Status, Is.EqualTo(LabelledSendStatus.Sent), "cancelled");
        Assert.That(_queue.TrySendAndLease([9], new MessageLabels { Id = 4, Key = 7, KeepResult = Minute }, null,
            out WorkLease held).Status,
            Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(SendKey(5, 7).Status, Is.EqualTo(LabelledSendStatus.KeyTaken));
        Assert.That(held.Complete([1]), Is.True);
        Assert.That(SendKey(5, 7).Status, Is.EqualTo(LabelledSendStatus.Sent), "a result holds no key");
        Assert.That(_queue.TryTakeResult(4, out _), Is.EqualTo(MessageState.Done));
    }

    [Test]
    public void Keys_of_one_hash_are_told_apart_by_their_messages()
    {
        MessageLabels one = new() { Id = 1, Key = 5 }, two = new() { Id = 2, Key = 5 };
        Assert.That(_queue.TrySend("a"u8, one, TimeSpan.Zero, static (m, _) => m.SequenceEqual("a"u8)).Status,
            Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(_queue.TrySend("b"u8, two, TimeSpan.Zero, static (m, _) => m.SequenceEqual("b"u8)).Status,
            Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(_queue.TrySend("b"u8, two with { Id = 3 }, TimeSpan.Zero, static (m, _) => m.SequenceEqual("b"u8)).Existing,
            Is.EqualTo((UInt128)2));
        byte[] large = new byte[5000];
        large[0] = 9;
        Assert.That(_queue.TrySend(large, two with { Id = 4 }, TimeSpan.Zero, static (m, _) => m[0] == 9).Status,
            Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(_queue.TrySend(large, two with { Id = 5 }, TimeSpan.Zero, static (m, _) => m[0] == 9).Existing, Is.EqualTo((UInt128)4));
        Watchdog.Until(() => LentBlocks() == 1, "the refused one's block");
    }

    [Test]
    public void Of_many_who_send_one_key_at_once_one_does_and_the_others_are_told_whose_it_is()
    {
        LabelledWorkQueue[] handles = [_queue,
            .. Enumerable.Range(0, 3).Select(_ => (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs"))];
        for (int round = 0; round < 2000; round++)
        {
            var results = new LabelledSendResult[handles.Length];
            Parallel.For(0, handles.Length, i => results[i] = handles[i].TrySend([1],
                new MessageLabels { Id = (UInt128)(round * 10 + i + 1), Key = (ulong)(round % 5 + 1) }, TimeSpan.Zero, null));
            int winner = Array.FindIndex(results, static r => r.Status == LabelledSendStatus.Sent);
            Assert.That(results.Count(static r => r.Status == LabelledSendStatus.Sent), Is.EqualTo(1), $"round {round}");
            foreach (LabelledSendResult lost in results.Where(static r => r.Status != LabelledSendStatus.Sent))
                Assert.That(lost, Is.EqualTo(new LabelledSendResult(LabelledSendStatus.KeyTaken, (UInt128)(round * 10 + winner + 1))));
            Assert.That(_queue.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
        }

        Assert.That(_queue.GetCounts(), Has.Property("Free").EqualTo(64).And.Property("Ready").Zero);
        foreach (LabelledWorkQueue other in handles[1..]) other.Dispose();
    }

    [Test]
    public void Ids_and_keys_of_a_full_queue_are_all_found_however_they_fall_into_buckets()
    {
        using LabelledWorkQueue queue = Open(20_000, "many");
        for (int round = 0; round < 3; round++)
        {
            for (int i = 1; i <= 20_000; i++)
                Assert.That(queue.TrySend([1], new MessageLabels { Id = (UInt128)i, Key = (ulong)i }, TimeSpan.Zero, null).Status,
                    Is.EqualTo(LabelledSendStatus.Sent));
            for (int i = 1; i <= 20_000; i++) Assert.That(queue.Find((UInt128)i, out _), Is.EqualTo(MessageState.Waiting), $"{i}");
            Assert.That(queue.TryLease(out WorkLease first) && first.Complete(), Is.True);
            for (int i = 2; i <= 20_000; i += 7)
                Assert.That(queue.TrySend([1], new MessageLabels { Id = (UInt128)(i + 100_000), Key = (ulong)i }, TimeSpan.Zero,
                    null).Existing,
                    Is.EqualTo((UInt128)i));
            while (queue.TryLease(out WorkLease lease)) lease.Complete();
        }
    }

    // All ids of one bucket: more than it has cells for.
    [Test]
    public void What_a_full_bucket_has_no_cell_for_is_found_all_the_same()
    {
        using LabelledWorkQueue queue = Open(1, "one");
        using LabelledWorkQueue wide = Open(64, "wide");
        ulong[] keys = [.. Keys().Where(static key => Bucket(key) == 3).Take(40)];
        for (int i = 0; i < keys.Length; i++)
            Assert.That(wide.TrySend([1], new MessageLabels { Id = (UInt128)i + 1, Key = keys[i] }, TimeSpan.Zero, null).Status,
                Is.EqualTo(LabelledSendStatus.Sent));
        for (int i = 0; i < keys.Length; i++)
            Assert.That(wide.TrySend([1], new MessageLabels { Id = (UInt128)i + 1000, Key = keys[i] }, TimeSpan.Zero, null).Existing,
                Is.EqualTo((UInt128)i + 1));
        for (int i = 0; i < keys.Length; i++) Assert.That(wide.Find((UInt128)i + 1, out _), Is.EqualTo(MessageState.Waiting));

        static IEnumerable<ulong> Keys()
        {
            for (ulong key = 1; ; key++) yield return key;
        }

        static ulong Bucket(ulong key) => Otto.Ipc.Mmap.Queues.SlotIndex.HashOf(key) & 63;
    }

    // More than a bucket has cells for: what is kept must not stay filed under its key.
    [Test]
    public void Many_dead_letters_and_results_of_one_key_leave_the_index_as_it_was()
    {
        for (int i = 1; i <= 40; i++)
        {
            Assert.That(_queue.TrySend([1], new MessageLabels { Id = (UInt128)i, Key = 5, KeepResult = Minute }, TimeSpan.Zero,
                null).Status,
                Is.EqualTo(LabelledSendStatus.Sent), $"{i}");
            _queue.TryLease(out WorkLease lease);
            Assert.That(i % 2 == 0 ? lease.DeadLetter("no way") : lease.Complete([1]), Is.True);
        }

        Assert.That(BitConverter.ToInt32(File.ReadAllBytes(_workspace.PathOf("jobs", Otto.Ipc.Mmap.Segments.SegmentShape.Queue)),
            (int)new Otto.Ipc.Mmap.Queues.QueueSpec(new MmapQueueOptions()).NewPlan().Control(8) + 0x14), Is.Zero, "no bucket was full");
        DeadLetter letter = _queue.GetDeadLetters()[0];
        Assert.That(_queue.RequeueDeadLetter(letter.Id), Is.True);
        Assert.That(SendKey(100, 5).Status, Is.EqualTo(LabelledSendStatus.KeyTaken), "requeued, it has its key again");
    }

    [Test]
    public void A_match_that_throws_leaves_nothing_behind([Values(20, 5000)] int bytes)
    {
        Assert.That(SendKey(1, 5).Status, Is.EqualTo(LabelledSendStatus.Sent));
        Assert.That(() => _queue.TrySend(new byte[bytes], new MessageLabels { Id = 2, Key = 5 }, TimeSpan.Zero,
            static (_, _) => throw new InvalidOperationException("no")), Throws.InvalidOperationException);
        Assert.That(_queue.Find(2, out _), Is.EqualTo(MessageState.Unknown));
        Assert.That(_queue.GetCounts().Free, Is.EqualTo(63));
        if (bytes > 64) Watchdog.Until(() => LentBlocks() == 0, "the block to be free again");
    }

    [Test]
    public void A_result_whose_block_was_deleted_is_reported_as_lost()
    {
        Send(1, keep: Minute);
        _queue.TryLease(out WorkLease lease);
        lease.Complete(new byte[5000]);
        foreach (string block in Directory.GetFiles(_workspace.Directory, "*.block")) File.Delete(block);
        using var other = (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs");
        Assert.That(other.TryTakeResult(1, out byte[] reason), Is.EqualTo(MessageState.Dead));
        Assert.That(System.Text.Encoding.UTF8.GetString(reason), Does.Contain("was deleted"));
        Assert.That(other.TryTakeResult(1, out _), Is.EqualTo(MessageState.Unknown));
        Assert.That(other.GetCounts().Free, Is.EqualTo(64));
    }

    // Whatever a slot says about its sender, no access is outside the mapping.
    [Test]
    public void A_sender_that_cannot_be_is_one_that_is_dead()
    {
        for (int i = 1; i <= 64; i++) Send((UInt128)i, keep: Minute);
        while (_queue.TryLease(out WorkLease lease)) lease.Complete([1]);
        string path = _workspace.PathOf("jobs", Otto.Ipc.Mmap.Segments.SegmentShape.Queue);
        var layout = new Otto.Ipc.Mmap.Queues.QueueLayout(
            new Otto.Ipc.Mmap.Queues.QueueSpec(new MmapQueueOptions { Slots = 64, SlotBytes = 64 }).NewPlan());
        using (FileStream file = File.Open(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            for (int i = 0; i < 64; i++)
            {
                file.Position = layout.Labels(i) + Otto.Ipc.Mmap.Queues.QueueLayout.Intent;
                file.Write(BitConverter.GetBytes(i % 2 == 0 ? int.MinValue : int.MaxValue));
            }
        }

        Watchdog.Until(() => _queue.TrySend([1]), "room");
    }

    [Test]
    public async Task A_message_that_is_passed_over_waits_for_a_worker_that_takes_it_and_stops_nobody()
    {
        using LabelledWorkQueue other = (LabelledWorkQueue)_workspace.Transport.OpenQueue("jobs");
        for (int i = 0; i < 30; i++) Send((UInt128)i + 1);
        _queue.TrySend("mine"u8);
        for (int i = 0; i < 30; i++)
        {
            Assert.That(_queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(lease.PassOver(77), Is.True);
            Assert.That(lease.Complete(), Is.False, "ended");
        }

        Assert.That(_queue.TryLease(out WorkLease mine), Is.True);
        Assert.That(mine.Payload.ToArray(), Is.EqualTo("mine"u8.ToArray()));
        mine.Complete();
        Assert.That(_queue.TryLease(out _), Is.False, "passed over once");
        Assert.That(_queue.GetCounts(), Has.Property("PassedOver").EqualTo(30).And.Property("Ready").Zero.And.Property("Leased").Zero);
        Assert.That(other.TryLease(out _), Is.False, "it does not take the subject");
        ValueTask waiting = other.WaitToLeaseAsync();
        other.SetSubjects([76, 77]);
        await waiting;
        _queue.Find(30, out WorkId last);
        Assert.That(_queue.Cancel(last), Is.True, "while it is passed over");
        for (int i = 0; i < 29; i++)
        {
            Assert.That(other.TryLease(out WorkLease lease), Is.True, $"{i}");
            Assert.That((lease.Payload.Span[0], lease.Attempt), Is.EqualTo(((byte)(i + 1), 1)), "in their order, and no attempt is used");
            lease.Complete();
        }

        Assert.That(other.TryLease(out _), Is.False);
        Assert.That(_queue.GetCounts().Free, Is.EqualTo(64));
    }

    private int LentBlocks() => Loans.PoolBytes.Count(_workspace.Directory, "jobs.queue").Lent;

    private LabelledSendResult Send(UInt128 id, TimeSpan keep = default, TimeSpan delay = default) =>
        _queue.TrySend([(byte)id], new MessageLabels { Id = id, KeepResult = keep }, delay, null);

    private LabelledSendResult SendKey(UInt128 id, ulong key) =>
        _queue.TrySend([1], new MessageLabels { Id = id, Key = key }, TimeSpan.Zero, null);
}
