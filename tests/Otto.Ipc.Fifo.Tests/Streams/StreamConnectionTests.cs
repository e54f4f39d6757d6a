using System.Threading.Channels;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// Who comes first, who leaves first: no open waits, and no wait is for ever. Where an end must be gone at once, no other test may fork:
// a child has the ends of this process until it executes its program.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class StreamConnectionTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_sender_opens_without_a_receiver_and_sends_nothing_until_there_is_one()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        Assert.That(sender.TrySend("lost?"u8), Is.False);
        Assert.That(sender.TryReserve(5, out _), Is.False);
        Assert.That(sender.WaitToSend(5, TimeSpan.FromMilliseconds(30)), Is.False);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        Assert.That(sender.TrySend("now"u8), Is.True);
        Assert.That(receiver.Next(), Is.EqualTo("now"));
    }

    [Test]
    public async Task A_sender_that_waits_for_a_receiver_continues_when_one_opens([Values] bool blocked)
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        Task waiting = blocked ? Watchdog.RunOnThread(() => sender.WaitToSend(1, Timeout.InfiniteTimeSpan))
            : sender.SendAsync("x"u8.ToArray()).AsTask();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        await Watchdog.WaitAsync(waiting);
        if (blocked) sender.TrySend("x"u8);
        Assert.That(receiver.Next(), Is.EqualTo("x"));
    }

    [Test]
    public void Waiting_for_a_receiver_can_be_cancelled([Values] bool blocked)
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        using var stop = new CancellationTokenSource();
        Task waiting = blocked ? Watchdog.RunOnThread(() => sender.WaitToSend(1, Timeout.InfiniteTimeSpan, stop.Token))
            : sender.SendAsync("x"u8.ToArray(), stop.Token).AsTask();
        stop.Cancel();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    [NonParallelizable]
    public void A_sender_whose_receiver_has_left_gets_an_exception([Values(4_092, 65_536)] int limit)
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words", new FifoStreamOptions { MaxMessageBytes = limit });
        using (MessageReceiver receiver = _workspace.Transport.OpenReceiver("words")) Assert.That(sender.TrySend("x"u8), Is.True);
        var thrown = Assert.Throws<ChannelClosedException>(() => sender.TrySend("y"u8));
        Assert.That(thrown!.Message, Does.Contain(_workspace.PathOf("words")).And.Contain("was closed"));
        Assert.Throws<ChannelClosedException>(() => sender.WaitToSend(1, Timeout.InfiniteTimeSpan));
        Assert.That(async () => await sender.SendAsync("z"u8.ToArray()), Throws.InstanceOf<ChannelClosedException>());
        Assert.Throws<ChannelClosedException>(() => sender.TryReserve(1, out _));
        // What the first had not read is there for the next.
        using MessageReceiver next = _workspace.Transport.OpenReceiver("words");
        Assert.That(sender.TrySend("again"u8), Is.True);
        Assert.That((next.Next(), next.Next()), Is.EqualTo(("x", "again")));
    }

    [Test]
    [NonParallelizable]
    public void A_receiver_that_leaves_in_the_middle_of_a_frame_leaves_the_error_to_the_next()
    {
        var options = new FifoStreamOptions { Framing = FifoFraming.LengthPrefixed };
        using MessageSender sender = _workspace.Transport.OpenSender("frames", options);
        int sent = 0;
        using (_workspace.Transport.OpenReceiver("frames"))
        {
            while (sender.TrySend(Payload.Make(1, sent, 60_000))) sent++;
        }

        Assert.Throws<ChannelClosedException>(() => sender.TrySend("lost"u8));
        using MessageReceiver next = _workspace.Transport.OpenReceiver("frames");
        for (int i = 0; i < sent - 1; i++) Assert.That(next.NextBytes(), Is.EqualTo(Payload.Make(1, i, 60_000)));
        Assert.That(sender.TrySend("too early"u8), Is.False, "half a frame lies in the pipe");
        Assert.Throws<TruncatedFrameException>(() => next.TryReceive(out _));
        Assert.That(sender.WaitToSend(5, Watchdog.Limit) && sender.TrySend("after"u8), Is.True);
        Assert.That(next.Next(), Is.EqualTo("after"));
    }

    [Test]
    public void A_sender_that_waits_for_room_gets_an_exception_when_its_receiver_leaves([Values] bool blocked)
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        while (sender.TrySend(new byte[1000])) { }
        Task waiting = blocked ? Watchdog.RunOnThread(() => sender.WaitToSend(1000, Timeout.InfiniteTimeSpan))
            : sender.SendAsync(new byte[1000]).AsTask();
        receiver.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ChannelClosedException>());
    }

    [Test]
    public void A_sender_ends_when_a_shell_has_read_enough()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        ExternalProgram shell = _workspace.Bash("head -n 10 < words.fifo");
        var thrown = Assert.Throws<ChannelClosedException>(() =>
        {
            while (true)
            {
                while (!sender.TrySend("y"u8)) sender.WaitToSend(1, Watchdog.Limit);
            }
        });
        Assert.That(thrown, Is.Not.Null);
        Assert.That(shell.Output(), Is.EqualTo(string.Concat(Enumerable.Repeat("y\n", 10))));
    }

    [Test]
    public void The_completion_of_a_sender_without_messages_reaches_a_receiver_that_opens_later()
    {
        MessageSender sender = _workspace.Transport.OpenSender("words");
        sender.Complete();
        sender.Dispose();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
        Assert.That(receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_completion_that_no_receiver_reads_is_given_up()
    {
        MessageSender sender = _workspace.Transport.OpenSender("words", new FifoStreamOptions { Linger = TimeSpan.FromMilliseconds(50) });
        sender.Complete();
        // The leak checker finds the descriptor if it is not.
    }

    [Test]
    [NonParallelizable]
    public void A_rest_that_no_receiver_reads_is_given_up_and_the_next_receiver_finds_it_truncated()
    {
        var options = new FifoStreamOptions { Framing = FifoFraming.LengthPrefixed, Linger = TimeSpan.FromMilliseconds(50) };
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", options);
        MessageSender sender = _workspace.Transport.OpenSender("frames", options);
        int sent = 0;
        while (sender.TrySend(new byte[60_000])) sent++;
        sender.Dispose();
        Watchdog.Until(() => _workspace.HasOpen(_workspace.PathOf("frames")) == 1, "the sender's descriptor to be closed");
        for (int i = 0; i < sent - 1; i++) Assert.That(receiver.NextBytes(), Has.Length.EqualTo(60_000));
        Assert.Throws<TruncatedFrameException>(() => receiver.TryReceive(out _));
        Assert.That(receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_second_receiver_is_refused_while_the_first_is_there()
    {
        using (_workspace.Transport.OpenReceiver("words"))
        {
            var thrown = Assert.Throws<IOException>(() => _workspace.Transport.OpenReceiver("words"));
            Assert.That(thrown!.Message, Does.Contain("has a receiver already"));
        }

        _workspace.Transport.OpenReceiver("words").Dispose();
    }

    [Test]
    public void A_stranger_that_reads_too_is_noticed_when_bytes_are_missing()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("words");
        using MessageSender sender = _workspace.Transport.OpenSender("words");
        sender.TrySend("stolen"u8);
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        _workspace.Python("import os; os.read(os.open('words.fifo', os.O_RDONLY), 100)").Output();
        lease.Dispose();
        Assert.That(() => receiver.TryReceive(out _),
            Throws.InstanceOf<InvalidDataException>().With.Message.Contains("another program reads from it"));
    }

    [Test]
    public async Task Waits_of_many_ends_hold_no_threads()
    {
        const int Streams = 100;
        var receivers = new List<MessageReceiver>();
        var waits = new List<Task<bool>>();
        for (int i = 0; i < Streams; i++)
        {
            receivers.Add(_workspace.Transport.OpenReceiver($"words-{i}"));
            waits.Add(receivers[i].WaitToReceiveAsync().AsTask());
        }

        int threads = Directory.GetDirectories("/proc/self/task").Length;
        Assert.That(threads, Is.LessThan(Streams), "one thread looks after all of them");
        Assert.That(waits.Exists(wait => wait.IsCompleted), Is.False);
        for (int i = 0; i < Streams; i++)
        {
            using MessageSender sender = _workspace.Transport.OpenSender($"words-{i}");
            sender.TrySend("x"u8);
        }

        foreach (Task<bool> wait in waits) Assert.That(await Watchdog.WaitAsync(wait), Is.True);
        foreach (MessageReceiver receiver in receivers) receiver.Dispose();
    }
}
