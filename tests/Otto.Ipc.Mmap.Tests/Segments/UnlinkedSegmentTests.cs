using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// A segment's file deleted or replaced under its users: nothing that was sent is lost silently, nobody
// waits for ever, and everybody is told.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class UnlinkedSegmentTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Users_of_a_deleted_queue_finish_what_is_there_and_get_an_exception()
    {
        using WorkQueue sender = _workspace.Transport.OpenQueue("jobs"), worker = _workspace.Transport.OpenQueue("jobs");
        sender.TrySend("before"u8);
        File.Delete(_workspace.PathOf("jobs", SegmentShape.Queue));
        Watchdog.Until(() => IsRefused(() => sender.TrySend("x"u8)), "the sender to be told");
        Assert.That(worker.TryLease(out WorkLease lease), Is.True, "what was sent before is still there");
        Assert.That(lease.Complete(), Is.True);
        Watchdog.Until(
            () => IsRefused(() =>
            {
                // What was sent before anybody noticed comes first.
                while (worker.TryLease(out lease)) lease.Complete();
            }),
            "the worker to be told, once nothing is left");
    }

    [Test]
    public async Task A_waiter_on_a_replaced_channel_wakes_with_an_exception([Values("queue", "stream", "topic")] string shape,
        [Values] bool blocks)
    {
        Func<Task> wait;
        Action dispose;
        switch (shape)
        {
            case "queue":
                WorkQueue queue = _workspace.Transport.OpenQueue("it");
                wait = blocks ? () => Watchdog.RunOnThread(() => Leases(queue)) : async () => await queue.LeaseAsync();
                dispose = queue.Dispose;
                break;
            case "stream":
                MessageReceiver receiver = _workspace.Transport.OpenReceiver("it");
                wait = blocks ? () => Watchdog.RunOnThread(() => receiver.WaitToReceive(Timeout.InfiniteTimeSpan))
                    : async () => await receiver.WaitToReceiveAsync();
                dispose = receiver.Dispose;
                break;
            default:
                MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("it");
                wait = async () =>
                {
                    if (blocks) await Watchdog.RunOnThread(() => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan));
                    else await subscriber.WaitToReceiveAsync();
                    subscriber.TryReceive(out _);
                };
                dispose = subscriber.Dispose;
                break;
        }

        Task waiting = wait();
        string path = Path.Combine(_workspace.Directory, "it." + shape);
        File.Move(path, path + ".old");
        File.WriteAllBytes(path, new byte[100]);
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.TypeOf<SegmentRemovedException>());
        dispose();
        File.Delete(path);
        File.Delete(path + ".old");
    }

    [Test]
    public void After_every_user_was_killed_the_next_ones_find_the_segment_and_continue()
    {
        using (PeerProcess sender = _workspace.Start("queue-send", "jobs", "1", "5"))
        using (PeerProcess holder = _workspace.Start("queue-hold", "jobs", "2"))
        {
            sender.WaitFor("sent 1:4");
            holder.WaitFor("holding");
            sender.Signal(9);
            holder.Kill();
        }

        using PeerProcess worker = _workspace.Start("queue-work", "jobs");
        worker.WaitFor("done 1:4");
        Watchdog.Until(() => Enumerable.Range(0, 5).All(
            i => worker.Lines.Any(line => line.StartsWith($"done 1:{i} ", StringComparison.Ordinal))),
            "all five, those that the dead one held too");
        worker.Say("finish");
        Assert.That(worker.WaitForExit(), Is.Zero, worker.Errors);
    }

    private static void Leases(WorkQueue queue)
    {
        while (!queue.TryLease(out _)) queue.WaitToLease(Timeout.InfiniteTimeSpan);
    }

    private static bool IsRefused(Action action)
    {
        try
        {
            action();
            return false;
        }
        catch (SegmentRemovedException)
        {
            return true;
        }
    }
}
