using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>Real processes, really killed.</summary>
[Parallelizable]
internal sealed class KilledWorkerTests : QueueTest
{
    [Test]
    public async Task The_task_of_a_killed_worker_runs_again_elsewhere_as_attempt_2_within_two_seconds()
    {
        TimeSpan best = TimeSpan.MaxValue;
        // The best of some: half of the two seconds are the survivors' period, and what else the machine does comes on top.
        for (int attempt = 0; attempt < 4 && best > TimeSpan.FromSeconds(2); attempt++)
        {
            string name = $"jobs{attempt}";
            using PeerProcess victim = PeerProcess.Start("hang", Segments, name);
            await victim.SaysAsync("ready");
            TaskQueue producer = Make(Options().AddProducer<byte[]>(name));
            await producer.EnqueueAsync(BitConverter.GetBytes(7));
            await victim.SaysAsync("started 7 attempt 1");
            using PeerProcess heir = PeerProcess.Start("work", Segments, name);
            await heir.SaysAsync("ready");
            await producer.EnqueueAsync(BitConverter.GetBytes(8));
            await heir.SaysAsync("done 8 attempt 1");

            long killed = Stopwatch.GetTimestamp();
            victim.Kill();
            await heir.SaysAsync("done 7 attempt 2");
            TimeSpan took = Stopwatch.GetElapsedTime(killed);
            best = took < best ? took : best;
            await heir.StopAsync();
        }

        Assert.That(best, Is.LessThan(TimeSpan.FromSeconds(2)));
    }

    [Test]
    public async Task Durable_tasks_of_a_killed_process_run_elsewhere_the_one_it_had_begun_as_attempt_2()
    {
        using PeerProcess victim = PeerProcess.Start("keep", Segments, "jobs", "20");
        await victim.SaysAsync("kept 20");
        await victim.SaysAsync("started 0 attempt 1");
        victim.Kill();

        Dictionary<int, int> attempts = [];
        TaskQueue heir = await StartAsync(Options().AddHandler<byte[]>("jobs", (task, context, _) =>
        {
            lock (attempts) attempts.Add(BitConverter.ToInt32(task), context.Attempt);
            return default;
        }));

        await Eventually.Holds(() => heir.GetStatistics()[0].Completed == 20);
        Assert.That(attempts.Keys, Is.EquivalentTo(Enumerable.Range(0, 20)));
        Assert.That(attempts[0], Is.EqualTo(2));
    }

    [Test]
    public async Task A_recurring_task_that_was_done_forgets_the_worker_that_died_over_it_before()
    {
        using PeerProcess victim = PeerProcess.Start("die", Segments, "jobs", "1");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        await producer.EnqueueAsync(BitConverter.GetBytes(7), new() { RepeatInterval = TimeSpan.FromMilliseconds(20) });
        await victim.SaysAsync("started 7 attempt 1");
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("die", Segments, "jobs", "1");
        await heir.SaysAsync("done 7 attempt 2");

        await heir.SaysAsync("started 7 attempt 1");
    }

    [Test]
    public async Task Of_a_thousand_tasks_that_each_lose_their_worker_none_is_lost_and_each_runs_once_more()
    {
        TaskQueue producer = Make(Options().UseSharedMemory(static s => { s.Slots = 1024; s.MaxAttempts = 20;
        }).AddProducer<byte[]>("jobs"));
        for (int i = 0; i < 1000; i++) await producer.EnqueueAsync(BitConverter.GetBytes(i));
        Assert.That(await WorkerKiller.RunAsync(Segments, "jobs", 1000, () => Inspect("jobs") is { Ready: 0, Leased: 0, Dead: 0 }),
            Is.EqualTo(1000));
    }

    [Test]
    public async Task Nor_is_one_lost_if_each_worker_is_process_1_of_a_container()
    {
        IReadOnlyList<string> container = Namespaces.OwnPids();
        TaskQueue producer = Make(Options().UseSharedMemory(static s => s.MaxAttempts = 20).AddProducer<byte[]>("jobs"));
        for (int i = 0; i < 500; i++) await producer.EnqueueAsync(BitConverter.GetBytes(i));
        Assert.That(
            await WorkerKiller.RunAsync(Segments, "jobs", 500, () => Inspect("jobs") is { Ready: 0, Leased: 0, Dead: 0 }, container),
            Is.EqualTo(500));
    }

    // With OTTO_LONG_TESTS also a pause of half a minute.
    private static readonly int[] Pauses = Environment.GetEnvironmentVariable("OTTO_LONG_TESTS") is { Length: > 0 } ? [1, 30] : [1];

    [TestCaseSource(nameof(Pauses))]
    public async Task A_paused_worker_keeps_its_task_and_does_it_once_when_it_comes_back(int seconds)
    {
        using PeerProcess paused = PeerProcess.Start("slow", Segments, "jobs", "3000");
        await paused.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        await producer.EnqueueAsync(BitConverter.GetBytes(3));
        await paused.SaysAsync("started 3 attempt 1");
        paused.Pause();
        using PeerProcess other = PeerProcess.Start("work", Segments, "jobs");
        await other.SaysAsync("ready");
        for (int i = 10; i < 20; i++) await producer.EnqueueAsync(BitConverter.GetBytes(i));
        await other.SaysAsync("done ", 10);
        // The length of the pause is what is tested: other routes would have given the task away.
        await Task.Delay(TimeSpan.FromSeconds(seconds));
        Assert.That(Inspect("jobs").Leased, Is.EqualTo(1), "only its death would free it");

        paused.Resume();
        await paused.SaysAsync("done 3 attempt 1");
        await paused.StopAsync();
        await other.StopAsync();
        Assert.That(other.Said("done 3"), Is.Zero);
        Assert.That(Inspect("jobs"), Is.EqualTo(Inspect("jobs") with { Ready = 0, Leased = 0, Dead = 0 }));
    }

    [Test]
    public async Task A_worker_stopped_gracefully_hands_its_tasks_to_the_next()
    {
        using PeerProcess first = PeerProcess.Start("hang", Segments, "jobs");
        await first.SaysAsync("ready");
        using PeerProcess sender = PeerProcess.Start("send", Segments, "jobs", "50");
        await sender.SaysAsync("sent 50");
        await sender.ExitAsync();
        await first.SaysAsync("started ");
        using PeerProcess second = PeerProcess.Start("work", Segments, "jobs");

        await second.SaysAsync("done ", 49); // One is in the hanging worker's hands.
        first.Kill();

        await second.SaysAsync("done ", 50);
        Assert.That(second.Lines.Count(static l => l.EndsWith("attempt 2", StringComparison.Ordinal)), Is.EqualTo(1));
        await second.StopAsync();
        Assert.That(Inspect("jobs"), Is.EqualTo(Inspect("jobs") with { Ready = 0, Leased = 0, Dead = 0 }));
    }
}
