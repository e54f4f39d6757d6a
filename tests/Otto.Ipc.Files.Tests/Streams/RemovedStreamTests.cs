using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// A stream's files deleted under its ends: nothing counts as sent that nobody can receive, and everybody is told.

[Parallelizable]
public sealed class RemovedStreamTests
{
    [Test]
    public void A_sender_whose_log_was_deleted_is_told_by_the_very_next_message()
    {
        using var workspace = new TestWorkspace();
        using MessageSender sender = workspace.Transport.OpenSender("frames");
        Assert.That(sender.TrySend([1]), Is.True);
        Directory.Delete(Path.Combine(workspace.Directory, "streams"), recursive: true);
        Assert.That(Assert.Throws<IOException>(() => sender.TrySend([2]))!.Message, Does.Contain("deleted").And.Contain("open it again"));
        sender.Dispose();
        using MessageSender again = workspace.Transport.OpenSender("frames");
        using MessageReceiver receiver = workspace.Transport.OpenReceiver("frames");
        Assert.That(again.TrySend([3]), Is.True);
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        Assert.That(lease.Bytes[0], Is.EqualTo(3));
        lease.Dispose();
    }

    [Test]
    public void A_receiver_that_waits_is_told([Values] bool madeAnew)
    {
        using var workspace = new TestWorkspace();
        MessageReceiver receiver = workspace.Transport.OpenReceiver("frames");
        Task waiting = receiver.WaitToReceiveAsync().AsTask();
        Directory.Delete(Path.Combine(workspace.Directory, "streams"), recursive: true);
        using MessageSender? sender = madeAnew ? workspace.Transport.OpenSender("frames") : null;
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<IOException>().With.Message.Contains("deleted"));
        receiver.Dispose();
    }

    [Test]
    public void A_queue_goes_on_in_directories_that_were_deleted_and_made_anew()
    {
        using var workspace = new TestWorkspace();
        using WorkQueue old = workspace.Transport.OpenQueue("jobs");
        Assert.That(old.TrySend([1]), Is.True);
        Directory.Delete(Path.Combine(workspace.Directory, "queues"), recursive: true);
        using WorkQueue other = workspace.Transport.OpenQueue("jobs");
        Assert.That(old.TrySend([2]), Is.True);
        Assert.That(other.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.Span[0], Is.EqualTo(2));
        lease.Complete();
        Assert.That(other.TrySend([3]), Is.True);
        Watchdog.Until(() => old.TryLease(out lease), "the old handle to find it");
        Assert.That(lease.Payload.Span[0], Is.EqualTo(3));
        lease.Complete();
    }
}
