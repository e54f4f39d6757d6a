using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// A segment's file deleted or replaced under its users: nothing that was sent is lost silently, nobody
// waits for ever, and everybody is told.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RetiredUnderUse
{
    private readonly TestPlace _place = new();

    [TearDown]
    public void GiveBack() => _place.Dispose();

    [Test]
    public void Users_of_a_deleted_queue_finish_what_is_there_and_are_told()
    {
        using WorkQueue sender = _place.Transport.OpenQueue("jobs"), worker = _place.Transport.OpenQueue("jobs");
        sender.TrySend("before"u8);
        File.Delete(_place.PathOf("jobs", SegmentShape.Queue));
        Watch.Until(() => IsRefused(() => sender.TrySend("x"u8)), "the sender to be told");
        Assert.That(worker.TryLease(out WorkLease lease), Is.True, "what was sent before is still there");
        Assert.That(lease.Complete(), Is.True);
        Watch.Until(
            () => IsRefused(() =>
            {
                // What was sent before anybody noticed comes first.
                while (worker.TryLease(out lease)) lease.Complete();
            }),
            "the worker to be told, once nothing is left");
    }

    [Test]
    public async Task Whoever_waits_on_a_replaced_channel_is_woken_and_told([Values("queue", "stream", "topic")] string shape,
        [Values] bool blocks)
    {
        Func<Task> wait;
        Action dispose;
        switch (shape)
        {
            case "queue":
                WorkQueue queue = _place.Transport.OpenQueue("it");
                wait = blocks ? () => Watch.OnThread(() => Leases(queue)) : async () => await queue.LeaseAsync();
                dispose = queue.Dispose;
                break;
            case "stream":
                MessageReceiver receiver = _place.Transport.OpenReceiver("it");
                wait = blocks ? () => Watch.OnThread(() => receiver.WaitToReceive(Timeout.InfiniteTimeSpan))
                    : async () => await receiver.WaitToReceiveAsync();
                dispose = receiver.Dispose;
                break;
            default:
                MessageSubscriber subscriber = _place.Transport.OpenSubscriber("it");
                wait = async () =>
                {
                    if (blocks) await Watch.OnThread(() => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan));
                    else await subscriber.WaitToReceiveAsync();
                    subscriber.TryReceive(out _);
                };
                dispose = subscriber.Dispose;
                break;
        }

        Task waiting = wait();
        string path = Path.Combine(_place.Directory, "it." + shape);
        File.Move(path, path + ".old");
        File.WriteAllBytes(path, new byte[100]);
        Assert.That(async () => await Watch.Over(waiting), Throws.TypeOf<SegmentRemovedException>());
        dispose();
        File.Delete(path);
        File.Delete(path + ".old");
    }

    [Test]
    public void After_everybody_was_killed_the_next_to_come_find_the_segment_and_go_on()
    {
        using (PeerProcess sender = _place.Start("queue-send", "jobs", "1", "5"))
        using (PeerProcess holder = _place.Start("queue-hold", "jobs", "2"))
        {
            sender.WaitFor("sent 1:4");
            holder.WaitFor("holding");
            sender.Signal(9);
            holder.Kill();
        }

        using PeerProcess worker = _place.Start("queue-work", "jobs");
        worker.WaitFor("done 1:4");
        Watch.Until(() => Enumerable.Range(0, 5).All(
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
