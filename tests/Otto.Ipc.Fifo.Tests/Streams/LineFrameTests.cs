using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// Lines, as shells write and read them, and the ends that pipes have.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class LineFrameTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Lines_are_what_a_stream_has_unless_said_otherwise()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        ExternalProgram shell = _workspace.Bash("""{ echo first; echo; printf 'with\rreturn \xff\n'; } > words.fifo""");
        Assert.That(receiver.Drain(), Is.EqualTo(new[] { "first", "", "with\rreturn ÿ" }));
        Assert.That(receiver.IsCompleted, Is.True);
        shell.Output();
    }

    [Test]
    public async Task A_shell_reads_what_is_sent()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        ExternalProgram shell = _workspace.Bash("""while read -r line; do echo "got $line"; done < words.fifo""");
        foreach (string word in (string[])["one", "two three", "four"]) await Watchdog.WaitAsync(sender.SendAsync(word.ToBytes()));
        sender.Complete();
        Assert.That(shell.Output(), Is.EqualTo("got one\ngot two three\ngot four\n"));
    }

    [Test]
    public void A_line_feed_in_a_line_is_refused_before_anything_is_written()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        var thrown = Assert.Throws<ArgumentException>(() => sender.TrySend("ab\ncd"u8));
        Assert.That(thrown!.Message, Does.Contain("5 bytes").And.Contain("byte 2").And.Contain("length-prefixed"));
        Assert.That(sender.TryReserve(10, out WriteSlot slot), Is.True);
        "x\n"u8.CopyTo(slot.Bytes);
        string refused = "";
        try
        {
            slot.Commit(2);
        }
        catch (ArgumentException e)
        {
            refused = e.Message;
        }

        Assert.That(refused, Does.Contain("byte 1"));
        slot.Commit(1);
        Assert.That(receiver.Next(), Is.EqualTo("x"));
        Assert.That(receiver.TryReceive(out _), Is.False);
    }

    [Test]
    public void The_stream_ends_when_its_last_writer_closes_and_begins_anew_with_the_next()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        Assert.That(receiver.IsCompleted, Is.False, "nobody came yet");
        for (int i = 0; i < 3; i++)
        {
            _workspace.Bash("echo again > words.fifo").Output();
            Assert.That(receiver.Drain(), Is.EqualTo(new[] { "again" }));
            Assert.That(receiver.IsCompleted, Is.True);
        }
    }

    [Test]
    public void A_receiver_that_is_kept_open_receives_one_echo_after_the_other()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words", new FifoStreamOptions { KeepOpen = true });
        _workspace.Bash("for i in 1 2 3; do echo $i > words.fifo; done").Output();
        _workspace.Bash("echo 4 > words.fifo").Output();
        for (int i = 1; i <= 4; i++) Assert.That(receiver.Next(), Is.EqualTo($"{i}"));
        Assert.That(receiver.IsCompleted, Is.False);
        Assert.That(receiver.WaitToReceive(TimeSpan.FromMilliseconds(20)), Is.False);
    }

    [Test]
    public void A_cut_last_line_is_an_error_that_names_its_bytes()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        _workspace.Bash("printf 'whole\\nhalf a line' > words.fifo").Output();
        Assert.That(receiver.Next(), Is.EqualTo("whole"));
        Assert.That(receiver.IsCompleted, Is.False, "its end is yet to be told");
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True);
        TruncatedFrameException thrown = Assert.Throws<TruncatedFrameException>(() => receiver.TryReceive(out _));
        Assert.That(thrown!.Message, Does.Contain("11 bytes").And.Contain("'half a line'"));
        Assert.That(thrown.Received.ToArray(), Is.EqualTo("half a line"u8.ToArray()));
        Assert.That(receiver.IsCompleted, Is.True);
        _workspace.Bash("echo next > words.fifo").Output();
        Assert.That(receiver.Next(), Is.EqualTo("next"));
    }

    [Test]
    public void A_line_over_the_limit_is_reported_once_and_skipped([Values(11, 5_000, 100_000)] int bytes)
    {
        using MessageReceiver receiver =
            _workspace.Transport.OpenReceiver("words", new FifoStreamOptions { MaxMessageBytes = 10, PipeBytes = 4096 });
        ExternalProgram shell =
            _workspace.Bash($$"""{ echo before; head -c {{bytes}} /dev/zero | tr '\0' a; echo; echo after; } > words.fifo""");
        Assert.That(receiver.Next(), Is.EqualTo("before"));
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True);
        var thrown = Assert.Throws<InvalidDataException>(() => receiver.TryReceive(out _));
        Assert.That(thrown!.Message,
            Does.Contain("more than 10 bytes").And.Contain("begins with 'aaaaaaaaaaa").And.Contain("MaxMessageBytes"));
        Assert.That(receiver.Next(), Is.EqualTo("after"));
        shell.Output();
    }
}
