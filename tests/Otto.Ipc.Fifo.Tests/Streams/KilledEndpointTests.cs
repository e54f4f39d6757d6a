using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Paths;

namespace Otto.Ipc.Fifo.Tests.Streams;

// kill -9 of either end: what was sent and not read is there for the next receiver, whole; half a frame is told and taken out.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class KilledEndpointTests
{
    private const string Name = "frames";
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_killed_receiver_leaves_the_message_in_its_hand_and_all_after_it_to_its_successor([Values(4_092, 65_536)] int limit,
        [Values(0, 20, 399)] int held)
    {
        const int Count = 400;
        using MessageSender sender = _workspace.Transport.OpenSender(Name, Options(limit));
        using PeerProcess victim = _workspace.Peer("fifo-receive", Name, Text(limit), "block", Text(held));
        victim.WaitFor("ready");
        for (int i = 0; i < Count; i++) Assert.That(sender.TrySend(Payload.Make(1, i, 20 + i)), Is.True, "all of it fits into the pipe");
        victim.WaitFor($"got 1 {held} ");
        victim.Kill();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(limit));
        sender.Complete();
        for (int i = held; i < Count; i++) AssertMessage(receiver.NextBytes(), 1, i);
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
    }

    [Test]
    [Repeat(5)]
    public void A_receiver_killed_anywhere_leaves_whole_messages_to_its_successor()
    {
        const int Count = 5_000;
        using MessageSender sender = _workspace.Transport.OpenSender(Name, Options(4_092));
        using PeerProcess victim = _workspace.Peer("fifo-receive", Name, "4092", "block");
        victim.WaitFor("ready");
        for (int i = 0; i < Count; i++) Assert.That(sender.TrySend(Payload.Make(1, i, 30)), Is.True, "all of it fits into the pipe");
        victim.WaitFor("got 1 10 ");
        victim.Kill();
        Assert.That(victim.Lines.Any(line => line.StartsWith("torn", StringComparison.Ordinal)), Is.False);
        int read = Numbers(victim, "read "), got = Numbers(victim, "got 1 ");
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(4_092));
        sender.Complete();
        // What it said that it had read is gone, what it had not looked at is there; one in its hand may be either.
        int? first = null, next = null;
        while (receiver.WaitToReceive(Watchdog.Limit))
        {
            Assert.That(Payload.TryRead(receiver.NextBytes(), out _, out int sequence), Is.True, "torn");
            first ??= sequence;
            Assert.That(sequence, Is.EqualTo(next ?? sequence));
            next = sequence + 1;
        }

        Assert.That(first ?? Count, Is.AnyOf(read + 1, got + 1));
        Assert.That(next ?? Count, Is.EqualTo(Count));
    }

    [Test]
    public void A_sender_killed_in_the_middle_of_a_frame_loses_only_that_frame([Values] bool keepOpen)
    {
        FifoStreamOptions options = Options(65_536);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, options with { KeepOpen = keepOpen });
        using MessageSender other = _workspace.Transport.OpenSender(Name, options);
        // The fourth frame of 60,000 bytes does not fit into 256 KiB beside the others, so it is begun and waits.
        using PeerProcess victim = _workspace.Peer("fifo-send", Name, "65536", "1", "100", "60000");
        victim.WaitFor("sent 4");
        Assert.That(other.TrySend(Payload.Make(2, 0, 50)), Is.False, "nobody writes into the middle of a frame");
        victim.Kill();
        Assert.That(other.TrySend(Payload.Make(2, 0, 50)), Is.False, "the receiver has yet to take out what is left of it");
        for (int i = 0; i < 4; i++) AssertMessage(receiver.NextBytes(), 1, i);
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True);
        TruncatedFrameException thrown = Assert.Throws<TruncatedFrameException>(() => receiver.TryReceive(out _));
        Assert.That(thrown!.Message, Does.Contain("of its 60,000 bytes"));
        Assert.That(other.WaitToSend(50, Watchdog.Limit), Is.True);
        Assert.That(other.TrySend(Payload.Make(2, 0, 50)), Is.True);
        AssertMessage(receiver.NextBytes(), 2, 0);
    }

    [Test]
    public void A_lone_sender_killed_in_the_middle_of_a_frame_ends_the_stream_after_the_error()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(65_536));
        using PeerProcess victim = _workspace.Peer("fifo-send", Name, "65536", "1", "100", "60000");
        victim.WaitFor("sent 4");
        victim.Kill();
        for (int i = 0; i < 4; i++) AssertMessage(receiver.NextBytes(), 1, i);
        Assert.Throws<TruncatedFrameException>(() => receiver.TryReceive(out _));
        Assert.That(receiver.IsCompleted, Is.True);
        using MessageSender successor = _workspace.Transport.OpenSender(Name);
        Assert.That(successor.TrySend(Payload.Make(2, 0, 60_000)), Is.True);
        AssertMessage(receiver.NextBytes(), 2, 0);
    }

    [Test]
    public void A_sender_that_died_before_or_after_the_bytes_of_a_frame_blocks_no_other()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(65_536));
        using MessageSender sender = _workspace.Transport.OpenSender(Name);
        // As a sender leaves it that is killed between its mark and its first byte, or between its last byte and taking the mark away.
        using (FileStream mark = File.OpenWrite(_workspace.PathOf(Name) + StreamFile.Suffix))
        {
            mark.Position = 12;
            mark.WriteByte(1);
        }

        Assert.That(sender.TrySend(Payload.Make(1, 0, 60_000)), Is.True);
        AssertMessage(receiver.NextBytes(), 1, 0);
    }

    [Test]
    public void A_sender_killed_while_it_waits_for_room_leaves_what_it_had_sent()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(4_092));
        using PeerProcess victim = _workspace.Peer("fifo-send", Name, "4092", "1", "1000000", "100");
        victim.WaitFor("sent 2000");
        victim.Kill();
        int sent = Numbers(victim, "sent "), next = 0;
        while (receiver.WaitToReceive(Watchdog.Limit)) AssertMessage(receiver.NextBytes(), 1, next++);
        Assert.That(next, Is.InRange(sent + 1, sent + 2), "it may have been killed before it said so");
    }

    [Test]
    public void The_rest_of_a_frame_is_written_before_its_process_ends()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(65_536));
        using PeerProcess sender = _workspace.Peer("fifo-send", Name, "65536", "1", "5", "60000");
        sender.WaitFor("finished");
        for (int i = 0; i < 5; i++) AssertMessage(receiver.NextBytes(), 1, i);
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
        Assert.That(sender.WaitForExit(), Is.Zero);
    }

    [Test]
    public void A_stopped_sender_is_waited_for_and_not_taken_for_dead()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver(Name, Options(65_536));
        using MessageSender other = _workspace.Transport.OpenSender(Name);
        using PeerProcess sender = _workspace.Peer("fifo-send", Name, "65536", "1", "5", "60000");
        sender.WaitFor("sent 4");
        sender.Signal(19);
        Watchdog.Until(() => sender.IsStopped, "the sender to stop");
        for (int i = 0; i < 4; i++) AssertMessage(receiver.NextBytes(), 1, i);
        Assert.That(receiver.WaitToReceive(TimeSpan.FromMilliseconds(300)), Is.False);
        Assert.That(other.WaitToSend(10, TimeSpan.Zero), Is.False, "it holds the lock");
        sender.Signal(18);
        AssertMessage(receiver.NextBytes(), 1, 4);
        Assert.That(sender.WaitForExit(), Is.Zero);
    }

    [Test]
    public void Half_a_frame_is_waited_for_asleep([Values("block", "async")] string how)
    {
        // Read by a process of its own, whose calls are nobody else's.
        using PeerProcess receiver = _workspace.Peer("fifo-receive", Name, "65536", how);
        receiver.WaitFor("ready");
        ExternalProgram python = _workspace.Python(
            """
            import os
            pipe = os.open('frames.fifo', os.O_WRONLY)
            os.write(pipe, b'\x0c\x00\x00\x00half')
            open('written', 'w')
            input()
            os.write(pipe, b' of it..')
            """);
        Watchdog.Until(() => File.Exists(Path.Combine(_workspace.Directory, "written")), "half a frame");
        ProcessReadCounter idle = new ProcessReadCounter(receiver.Id);
        // It looks at the half frame after 1 ms, 2 ms, and so on, since the writer may have died; soon four
        // times a second, by a few reads each.
        Watchdog.Until(() => idle.CountReads() <= 40, "the receiver to sleep: it looks at half a frame all the time");
        python.Say("go");
        receiver.WaitFor("torn");
        Assert.That(receiver.WaitForExit(), Is.Zero);
        python.Output();
    }

    private static void AssertMessage(byte[] message, int sender, int sequence)
    {
        Assert.That(Payload.TryRead(message, out int from, out int number), Is.True, "torn");
        Assert.That((from, number), Is.EqualTo((sender, sequence)));
    }

    /// <summary>The number in the last line that begins like this.</summary>
    private static int Numbers(PeerProcess peer, string beginning) =>
        int.Parse(peer.Lines.Last(line => line.StartsWith(beginning, StringComparison.Ordinal))[beginning.Length..].Split(' ')[0],
            CultureInfo.InvariantCulture);

    private static FifoStreamOptions Options(int limit) => new() { Framing = FifoFraming.LengthPrefixed, MaxMessageBytes = limit };

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
