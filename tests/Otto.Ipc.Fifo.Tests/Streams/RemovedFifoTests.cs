using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// A FIFO deleted under its ends: they are told, and do not wait for processes that use another one.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RemovedFifoTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_receiver_that_waits_is_told([Values] bool blocks)
    {
        MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        Task waiting = blocks ? Watchdog.RunOnThread(() => receiver.WaitToReceive(Timeout.InfiniteTimeSpan))
            : receiver.WaitToReceiveAsync().AsTask();
        Delete();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<IOException>().With.Message.Contains("deleted"));
        receiver.Dispose();
    }

    [Test]
    public void A_sender_is_told()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        Assert.That(sender.TrySend([1]), Is.True);
        Delete();
        Watchdog.Until(() =>
        {
            try
            {
                sender.TrySend([1]);
                return false;
            }
            catch (IOException e)
            {
                return e.Message.Contains("deleted", StringComparison.Ordinal);
            }
        }, "the sender to be told");
    }

    private void Delete()
    {
        foreach (string file in Directory.GetFiles(_workspace.Directory)) File.Delete(file);
    }
}
