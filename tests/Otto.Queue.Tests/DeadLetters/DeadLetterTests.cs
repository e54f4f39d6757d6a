using System.Text;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.DeadLetters;

/// <summary>What is given up can be seen, tried again, or dropped, wherever it lived.</summary>
internal sealed class DeadLetterTests : QueueTest
{
    [TestCase(Durability.None)]
    [TestCase(Durability.Process)]
    public async Task A_given_up_task_is_kept_with_its_error_whatever_its_durability(Durability durability)
    {
        TaskQueue queue = await StartAsync(
            Options().AddHandler<Job>("jobs", static (_, _, _) => throw new IOException("no"), h => h.Retries = 0));
        TaskReceipt receipt = await queue.EnqueueAsync(new Job(7), new() { Durability = durability });
        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered == 1);

        DeadLetteredTask dead = (await queue.DeadLetters.ListAsync("jobs")).Single();

        Assert.That((dead.Id, dead.Route, dead.Attempts, dead.Reason),
            Is.EqualTo((receipt.Id, RouteName.SharedMemory, 1, "attempt 1 of 1: IOException: no")));
        Assert.That(await queue.DeadLetters.DeleteAsync(dead), Is.True);
        Assert.That(await queue.DeadLetters.DeleteAsync(dead), Is.False);
        Assert.That(Inspect("jobs"), Has.Property("Dead").EqualTo(0));
    }

    [Test]
    public async Task A_producer_that_waits_for_a_task_that_the_segment_gave_up_gets_an_exception()
    {
        using WorkQueue segment = OpenSegment("jobs", new MmapQueueOptions { MaxAttempts = 1 });
        TaskQueue queue = Make(Options().AddProducer<Job>("jobs"));
        TaskReceipt other = await queue.EnqueueAsync(new Job(1)),
            receipt = await queue.EnqueueAsync(new Job(2), new() { TrackResult = true });
        // As workers that die over it leave it: no worker is there to tell.
        for (int i = 0; i < 2; i++)
        {
            Assert.That(segment.TryLease(out WorkLease lease), Is.True);
            if (EnvelopeReader.IdOf(lease.Payload.Span) == receipt.Id) lease.Abandon();
            else lease.Complete();
        }

        Assert.That(segment.GetCounts().Dead, Is.EqualTo(1));
        Assert.That(async () => await queue.WaitAsync(receipt).Soon(),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("failed: "));
        Assert.That(other.Id, Is.Not.EqualTo(receipt.Id));
    }

    [Test]
    public async Task With_no_route_to_keep_it_a_given_up_task_is_counted_as_lost()
    {
        TaskQueue queue = await StartAsync(
            InProcessOnly().AddHandler<Job>("jobs", static (_, _, _) => throw new IOException("no"), h => h.Retries = 0));
        await queue.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => queue.GetStatistics()[0].Lost == 1);
        Assert.That(queue.GetStatistics()[0].DeadLettered, Is.Zero);
    }

    [Test]
    public async Task Another_process_can_list_and_requeue()
    {
        TaskQueue worker = await StartAsync(
            Options().AddHandler<Job>("jobs",
                static (_, context, _) => context.Route == RouteName.InProcess ? throw new IOException("no") : default,
                h => h.Retries = 0));
        await worker.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => worker.GetStatistics()[0].DeadLettered == 1);
        TaskQueue inspector = Make(Options().AddProducer<Job>("jobs"));

        DeadLetteredTask dead = (await inspector.DeadLetters.ListAsync()).Single();
        Assert.That(await inspector.DeadLetters.RequeueAsync(dead), Is.True);

        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task A_message_that_says_it_was_tried_too_often_is_not_tried_again()
    {
        using WorkQueue segment = OpenSegment("jobs");
        segment.TrySend(new TestEnvelope { Name = "jobs", AttemptsBefore = 4, Payload = """{"Number":1}""" }.ToArray());
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default, h => h.Retries = 3));

        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered == 1);
        Assert.That(segment.GetDeadLetters().Single().Reason,
            Is.EqualTo("attempt 5 of at most 4: earlier workers died during it or returned it"));
    }

    [Test]
    public async Task A_payload_that_is_no_such_task_is_given_up_after_it_was_offered_to_others()
    {
        using WorkQueue segment = OpenSegment("jobs");
        segment.TrySend(new TestEnvelope { Name = "jobs", Payload = "{\"Number\":" }.ToArray());
        segment.TrySend(new TestEnvelope { Name = "jobs", Payload = "null" }.ToArray());
        segment.TrySend(new TestEnvelope { Name = "jobs", Payload = "7", Format = 200 }.ToArray());
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default, h => h.Retries = 3));

        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered == 3);
        string[] reasons = [.. segment.GetDeadLetters().Select(static d => d.Reason)];
        Assert.That(reasons, Has.All.Contains(": no worker could read it in 6 offers over "));
        Assert.That(reasons, Has.Some.EndsWith($"JsonException: the payload is null, which is not a {typeof(Job)}"));
        Assert.That(reasons, Has.Some.EndsWith("format 200, but the handler of 'jobs' reads format 1"));
        Assert.That(reasons, Has.All.StartsWith("payload: "));
        Assert.That(segment.GetDeadLetters().Select(static d => d.Attempts), Is.All.EqualTo(1), "what cannot be read is no attempt");
    }

    [Test]
    public async Task A_message_of_a_newer_version_is_left_for_newer_workers([Values(0x01, 0x02)] int at)
    {
        byte[] newer = new TestEnvelope { Name = "jobs", Payload = """{"Number":1}""" }.ToArray();
        newer[at] = (byte)(at == 0x01 ? 2 : 0x80);
        using WorkQueue segment = OpenSegment("jobs");
        Assert.That(segment.TrySend(newer), Is.True);
        Assert.That(segment.TrySend(new TestEnvelope { Name = "jobs", Payload = """{"Number":2}""" }.ToArray()), Is.True);
        TaskQueue old = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        await Eventually.Holds(() => old.GetStatistics()[0].Completed == 1, "what is behind it");

        // A newer worker takes it in one of the pauses.
        WorkLease lease = default;
        await Eventually.Holds(() => segment.TryLease(out lease));
        Assert.That((lease.Payload.Span.SequenceEqual(newer), lease.Attempt), Is.EqualTo((true, 1)));
        lease.Complete();
        Assert.That(old.GetStatistics()[0].DeadLettered, Is.Zero);
    }

    [Test]
    public async Task What_a_worker_need_not_understand_it_steps_over()
    {
        byte[] bytes = new TestEnvelope { Name = "jobs", Payload = """{"Number":1}""" }.ToArray();
        byte[] newer = [.. bytes[..52], 99, 2, 0, 7, 7, .. bytes[52..]];
        newer[0x03] = 0x83; // Extensions of an unknown kind, and flags that nobody needs to know.
        newer[0x04] = 57;
        using WorkQueue segment = OpenSegment("jobs");
        Assert.That(segment.TrySend(newer), Is.True);
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task Bytes_that_are_no_envelope_become_a_dead_letter_and_the_worker_continues()
    {
        using WorkQueue segment = OpenSegment("jobs");
        byte[] good = new TestEnvelope { Name = "jobs", Payload = """{"Number":1}""" }.ToArray();
        Random random = new(20260101);
        int hostile = 0;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default, h => h.Concurrency = 1));
        for (int i = 0; i < 500; i++)
        {
            byte[] bad = i % 2 == 0 ? good[..random.Next(good.Length)] : (byte[])good.Clone();
            // Flip bits in the fixed part, where each has a meaning that is checked (the id, times and attempts may hold anything).
            if (i % 2 == 1) bad[random.Next(8)] ^= (byte)(1 << random.Next(8));
            if (bad.Length == good.Length && EnvelopeReader.Read(bad, out _, out ReadOnlySpan<byte> name, out _) is null
                && name.SequenceEqual("jobs"u8)) continue;
            if (!segment.TrySend(bad)) break;
            hostile++;
        }

        segment.TrySend(good);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered + Inspect("jobs").Ready >= hostile);
        Assert.That(segment.GetDeadLetters(1000).Select(static d => d.Reason), Has.All.StartsWith("envelope: "));
    }

    [Test]
    public void A_queue_that_is_not_there_lists_those_that_are()
    {
        TaskQueue queue = Make(Options().AddProducer<Job>("jobs").AddProducer<byte[]>("bytes"));
        Assert.That(async () => await queue.DeadLetters.ListAsync("jbos"),
            Throws.InvalidOperationException.With.Message.Contains("there are: jobs, bytes"));
    }
}
