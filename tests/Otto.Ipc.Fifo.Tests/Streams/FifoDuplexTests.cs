using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// Two FIFOs make a talk.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class FifoDuplexTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task A_question_gets_its_answer()
    {
        using FifoDuplex client = _workspace.Transport.OpenDuplex("talk", DuplexSide.Client),
            server = _workspace.Transport.OpenDuplex("talk", DuplexSide.Server);
        for (int i = 0; i < 100; i++)
        {
            await Watchdog.WaitAsync(client.Sender.SendAsync($"question {i}".ToBytes()));
            Assert.That(server.Receiver.Next(), Is.EqualTo($"question {i}"));
            await Watchdog.WaitAsync(server.Sender.SendAsync($"answer {i}".ToBytes()));
            Assert.That(client.Receiver.Next(), Is.EqualTo($"answer {i}"));
        }
    }

    [Test]
    public async Task A_shell_can_be_the_other_side()
    {
        await using FifoDuplex server = _workspace.Transport.OpenDuplex("talk", DuplexSide.Server);
        ExternalProgram shell =
            _workspace.Bash("exec 3> talk.to-server.fifo 4< talk.to-client.fifo; for i in 1 2 3; do echo \"$i\" >&3; read -r -u "
            + "4 answer; echo \"$answer\"; done");
        for (int i = 1; i <= 3; i++)
            await Watchdog.WaitAsync(server.Sender.SendAsync($"{server.Receiver.Next()} squared is {i * i}".ToBytes()));
        Assert.That(shell.Output(), Is.EqualTo("1 squared is 1\n2 squared is 4\n3 squared is 9\n"));
        Assert.That(server.Receiver.WaitToReceive(Watchdog.Limit), Is.False);
    }

    [Test]
    public void A_side_is_taken_by_one_at_a_time()
    {
        using FifoDuplex server = _workspace.Transport.OpenDuplex("talk", DuplexSide.Server);
        Assert.That(() => _workspace.Transport.OpenDuplex("talk", DuplexSide.Server),
            Throws.InstanceOf<IOException>().With.Message.Contains("has a receiver already"));
        Assert.That(() => _workspace.Transport.OpenDuplex("talk", (DuplexSide)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => _workspace.Transport.RemoveDuplex("talk"), Throws.InstanceOf<IOException>());
        server.Dispose();
        server.Dispose();
        Assert.That(_workspace.Transport.RemoveDuplex("talk"), Is.True);
        Assert.That(Directory.GetFileSystemEntries(_workspace.Directory), Is.Empty);
    }
}
