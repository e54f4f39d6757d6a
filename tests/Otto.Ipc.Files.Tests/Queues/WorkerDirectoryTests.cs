using Otto.Ipc.Conformance;
using Otto.Ipc.Files.Queues;

namespace Otto.Ipc.Files.Tests.Queues;

// A worker's directory is its life: nobody takes its lock away while it lives, and where a person did, it goes on with another.

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class WorkerDirectoryTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_sweeper_never_takes_the_lock_of_a_directory_that_is_being_made()
    {
        const int Count = 3_000;
        using (_workspace.Transport.OpenQueue("work"))
        {
        }

        var files = new QueueFiles(Directory.GetDirectories(_workspace.Directory, "work", SearchOption.AllDirectories).Single());
        using var stop = new CancellationTokenSource();
        long swept = 0;
        Task[] sweepers = [.. Enumerable.Range(0, 2).Select(_ => Watchdog.RunOnThread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                foreach (string worker in files.WorkerDirectories())
                {
                    if (WorkerDirectory.TrySweep(worker, (_, _) => { })) Interlocked.Increment(ref swept);
                }
            }
        }))];
        for (int i = 0; i < Count; i++)
        {
            WorkerDirectory made = WorkerDirectory.Create(files);
            for (int look = 0; look < 3; look++) Assert.That(made.IsThere, Is.True, $"directory {i} lost its lock beside {swept} sweeps");
            made.Leave((_, _) => { });
        }

        stop.Cancel();
        Assert.That(Task.WhenAll(sweepers).Wait(Watchdog.Limit), Is.True);
    }

    [Test]
    public void A_worker_whose_directory_was_removed_continues_with_another()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("work");
        queue.SetConsumer(true);
        Assert.That(queue.TrySend("held"u8), Is.True);
        Assert.That(queue.TryLease(out WorkLease held), Is.True);
        Assert.That(queue.TrySend("next"u8), Is.True);
        foreach (string worker in Directory.GetDirectories(_workspace.Directory, "leased", SearchOption.AllDirectories).SelectMany(
            Directory.GetDirectories)) Directory.Delete(worker, recursive: true);
        WorkLease next = default;
        Assert.That(Watchdog.RunOnThread(() => queue.TryLease(out next)).Wait(Watchdog.Limit), Is.True, "the call must end");
        Assert.That(next.Payload.ToArray(), Is.EqualTo("next"u8.ToArray()));
        Assert.That(held.Complete(), Is.False, "what was removed is gone");
        Assert.That(next.Complete(), Is.True);
        using WorkQueue other = _workspace.Transport.OpenQueue("work");
        Assert.That(other.OtherConsumers, Is.EqualTo(1));
        Assert.That(queue.TrySend("last"u8), Is.True);
        Assert.That(other.TryLease(out WorkLease last), Is.True);
        last.Complete();
    }

    [Test]
    public async Task Handles_that_come_and_go_in_several_processes_run_each_message_once()
    {
        const int Messages = 2_000, Workers = 3;
        using WorkQueue queue = _workspace.Transport.OpenQueue("work", new FilesQueueOptions { Capacity = Messages });
        for (int i = 0; i < Messages; i++) Assert.That(queue.TrySend(Payload.Make(1, i, 50)), Is.True);
        int[] runs = new int[Messages];
        int refused = 0;
        Task[] workers = [.. Enumerable.Range(0, Workers).Select(_ => Watchdog.RunOnThread(() =>
        {
            while (true)
            {
                using WorkQueue brief = _workspace.Transport.OpenQueue("work");
                for (int i = 0; i < 5; i++)
                {
                    if (!brief.TryLease(out WorkLease lease)) return;
                    Assert.That(Payload.TryRead(lease.Payload.Span, out _, out int number), Is.True);
                    Interlocked.Increment(ref runs[number]);
                    if (!lease.Complete()) Interlocked.Increment(ref refused);
                }
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll(workers));
        Assert.That(refused, Is.Zero, "a live worker's message went to another");
        Assert.That(runs, Is.All.EqualTo(1));
    }
}
