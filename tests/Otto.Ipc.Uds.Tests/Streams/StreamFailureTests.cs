using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Otto.Ipc.Conformance;
using Otto.Ipc.Uds.Streams;
using static Otto.Ipc.Uds.Tests.Streams.NextPayload;

namespace Otto.Ipc.Uds.Tests.Streams;

// What goes wrong around a stream is told to whoever it concerns, and harms nobody else: no descriptors, somebody else's socket at the
// path, a stranger at the receiver's door.

[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StreamFailureTests
{
    private TestDirectory _directory = null!;
    private UdsTransport _transport = null!;

    private string StreamPath => Path.Combine(_directory.Path, "frames.stream");

    [SetUp]
    public void Make()
    {
        _directory = new TestDirectory();
        _transport = new UdsTransport(new UdsTransportOptions { SocketPath = _directory.SocketPath });
    }

    [TearDown]
    public async Task Remove()
    {
        await _transport.DisposeAsync();
        _directory.Dispose();
    }

    [Test]
    public void A_sender_that_left_is_seen_to_have_left_although_a_child_that_has_not_executed_its_program_has_its_socket()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        MessageSender left = _transport.OpenSender("frames");
        Assert.That(left.TrySend(Payload.Make(1, 0, 50)), Is.True);
        Assert.That(Sequence(receiver), Is.Zero);
        using var child = new ForkedDescriptors(OpenDescriptors.IsSocket);
        int open = OpenDescriptors.Sockets;
        left.Dispose();
        // A look at the stream is what tells a sender how much was read.
        Watchdog.Until(() => !receiver.IsCompleted && OpenDescriptors.Sockets < open, "its connection to be closed, once all was read");
        using MessageSender successor = _transport.OpenSender("frames");
        Assert.That(successor.TrySend(Payload.Make(1, 1, 50)), Is.True);
        Assert.That(Sequence(receiver), Is.EqualTo(1));
        successor.Complete();
        Watchdog.Until(() => receiver.IsCompleted, "the stream to be ended by the one who came in the other's place");
    }

    [Test]
    public async Task A_receiver_that_waits_listens_again_when_its_socket_is_deleted([Values] bool lockToo)
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        ValueTask<bool> waiting = receiver.WaitToReceiveAsync();
        File.Delete(StreamPath);
        if (lockToo) File.Delete(StreamPath + ".lock");
        Watchdog.Until(() => File.Exists(StreamPath), "the receiver to listen again");
        using MessageSender sender = _transport.OpenSender("frames");
        Watchdog.Until(() => sender.TrySend(Payload.Make(1, 7, 50)), "a connection");
        Assert.That(await Watchdog.WaitAsync(waiting.AsTask()), Is.True);
        Assert.That(Sequence(receiver), Is.EqualTo(7));
    }

    [Test]
    public void A_sender_without_descriptors_gets_an_exception_and_continues_when_there_are_some()
    {
        using var sender = new ServerProcess("stream-try", _directory.SocketPath, "frames");
        Assert.That(sender.ReadLine(), Is.EqualTo("ready"));
        Assert.That(sender.Ask("go"), Is.EqualTo("sent 0"));
        // Fewer than it has open: it gets no more. What its pump meets is told to its next call.
        Assert.That(ExternalProgram.Bash("", $"prlimit --pid {sender.Id} --nofile=4:").Code, Is.Zero);
        int sent = 1 + UntilItFails(sender, "open files");
        Assert.That(ExternalProgram.Bash("", $"prlimit --pid {sender.Id} --nofile=200:").Code, Is.Zero);
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        for (int i = 0; i < sent; i++) Assert.That(Sequence(receiver), Is.EqualTo(i));
    }

    [Test]
    public void A_sender_that_meets_another_kind_of_socket_gets_an_exception_and_continues_when_it_is_gone()
    {
        using var sender = new ServerProcess("stream-try", _directory.SocketPath, "frames");
        Assert.That(sender.ReadLine(), Is.EqualTo("ready"));
        Assert.That(sender.Ask("go"), Is.EqualTo("sent 0"));
        int sent = 1;
        using (var stranger = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified))
        {
            stranger.Bind(new UnixDomainSocketEndPoint(StreamPath));
            sent += UntilItFails(sender, "wrong type");
        }

        File.Delete(StreamPath);
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        for (int i = 0; i < sent; i++) Assert.That(Sequence(receiver), Is.EqualTo(i));
    }

    [Test]
    public void A_receiver_that_is_refused_costs_the_first_one_nothing()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using MessageSender sender = _transport.OpenSender("frames");
        sender.TrySend(Payload.Make(1, 0, 50));
        int before = Descriptors();
        for (int i = 0; i < 20; i++)
        {
            Assert.That(() => _transport.OpenReceiver("frames"), Throws.InstanceOf<SocketInUseException>());
            if (i == 0) Assert.That(Sequence(receiver), Is.Zero);
            Assert.That(receiver.TryReceive(out _), Is.False);
        }

        Assert.That(Descriptors(), Is.LessThan(before + 20), "a refused receiver leaves no descriptor");
        sender.Complete();
        AssertEnds(receiver);
    }

    [Test]
    public async Task A_connection_that_only_probes_is_not_a_sender()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using (var sender = new ServerProcess("stream-try", _directory.SocketPath, "frames"))
        {
            Assert.That(sender.ReadLine(), Is.EqualTo("ready"));
            for (int i = 0; i < 5; i++)
            {
                Assert.That(sender.Ask("go"), Is.EqualTo($"sent {i}"));
                Task looking = Watchdog.RunOnThread(
                    () => Assert.That(ExternalProgram.Bash("", $"nc -N -U {StreamPath} < /dev/null").Code, Is.Zero));
                Assert.That(Sequence(receiver), Is.EqualTo(i));
                Watchdog.Until(() => !receiver.TryReceive(out _) && looking.IsCompleted, "it is let go");
                await looking;
            }
        }

        using (MessageSender last = _transport.OpenSender("frames")) last.Complete();
        AssertEnds(receiver);
    }

    [Test]
    public void Other_clients_and_their_bytes_do_not_keep_a_stream_from_ending()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using MessageSender sender = _transport.OpenSender("frames");
        List<Socket> strangers = [];
        byte[][] garbage = [[], [1], "GET / HTTP/1.1\r\n\r\n"u8.ToArray(), [255, 255, 255, 255, 0, 0, 0, 0], new byte[8],
            [8, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 2, 0, 0, 0]];
        foreach (byte[] bytes in garbage)
        {
            var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            stranger.Connect(new UnixDomainSocketEndPoint(StreamPath));
            stranger.Send(bytes);
            // Half of them stay.
            if (strangers.Count % 2 == 0) stranger.Shutdown(SocketShutdown.Both);
            strangers.Add(stranger);
            sender.TrySend(Payload.Make(1, strangers.Count, 50));
            Assert.That(Sequence(receiver), Is.EqualTo(strangers.Count));
        }

        sender.Complete();
        AssertEnds(receiver);
        foreach (Socket stranger in strangers) stranger.Dispose();
    }

    [Test]
    public void A_sender_that_says_nothing_more_is_known_to_its_receivers_successor()
    {
        using MessageSender silent = _transport.OpenSender("frames"), other = _transport.OpenSender("frames");
        using (MessageReceiver first = _transport.OpenReceiver("frames"))
        {
            silent.TrySend(Payload.Make(1, 0, 50));
            Assert.That(Sequence(first), Is.Zero);
            Assert.That(first.TryReceive(out _), Is.False);
        }

        using MessageReceiver second = _transport.OpenReceiver("frames");
        other.Complete();
        Assert.That(second.WaitToReceive(TimeSpan.FromMilliseconds(100)), Is.False);
        Assert.That(second.IsCompleted, Is.False, "the silent one may still send");
        silent.TrySend(Payload.Make(1, 1, 50));
        Assert.That(Sequence(second), Is.EqualTo(1));
        silent.Complete();
        AssertEnds(second);
    }

    [TestCase(64 << 10, 4 << 20)]
    [TestCase(4 << 20, 64 << 10)]
    public async Task A_sender_that_takes_over_a_lane_has_the_capacity_it_asked_for(int before, int after)
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using (MessageSender first = _transport.OpenSender("frames", new UdsStreamOptions { Capacity = before }))
            first.TrySend(Payload.Make(1, 0, 50));
        // Nothing was read, so that its lane is still there.
        using MessageSender second = _transport.OpenSender("frames", new UdsStreamOptions { Capacity = after });
        Task sending = Watchdog.RunOnThread(() =>
        {
            for (int i = 1; i < 5; i++) second.SendAsync(Payload.Make(1, i, second.MaxMessageBytes)).AsTask().Wait();
        });
        for (int i = 0; i < 5; i++) Assert.That(Sequence(receiver), Is.EqualTo(i));
        await Watchdog.WaitAsync(sending);
        int held = 0;
        while (second.TrySend(new byte[10_000])) held += 10_000;
        Assert.That(held, Is.LessThanOrEqualTo(after + (16 << 10)), "what one receipt is late by");
    }

    [Test]
    public void A_message_that_the_kernel_refused_while_the_lane_moved_leaves_the_others_whole()
    {
        // The last message looks like a frame that says something, should anybody mistake it for one.
        byte[] open = new byte[StreamWire.HeaderBytes], filler = Payload.Make(1, 0, 50);
        StreamWire.WriteHeader(open, FrameType.Open, 0);
        SendBuffer lane = new SendBuffer(StreamPath);
        int sent = 0, opens = 0;
        using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            listener.Bind(new UnixDomainSocketEndPoint(StreamPath));
            listener.Listen();
            lane.Hold(64 << 10, allowOther: false);
            using Socket receiver = listener.Accept();
            while (lane.TrySend(filler, reserved: false)) sent++;
            // It has read the frame that begins the lane, and taken one message from the kernel, in whose place another goes.
            receiver.Receive(new byte[StreamWire.HeaderBytes + StreamWire.HeaderBytes + filler.Length]);
            byte[] receipt = new byte[StreamWire.ReceiptBytes];
            BinaryPrimitives.WriteInt64LittleEndian(receipt, StreamWire.HeaderBytes);
            receiver.Send(receipt);
            Assert.That(lane.HasRoom(64 << 10), Is.False);
            while (lane.TrySend(open, reserved: false)) opens++;
            Assert.That(opens, Is.Positive);
            Assert.That(lane.TrySend(new byte[16_000], reserved: false), Is.False, "the kernel is full");
        }

        File.Delete(StreamPath);
        Watchdog.Until(() => !lane.HasRoom(64 << 10) && !lane.IsDelivered, "the lane knows that its receiver has gone");
        lane.Complete();
        lane.Release();
        using MessageReceiver next = _transport.OpenReceiver("frames");
        for (int i = 0; i < sent; i++) Assert.That(Sequence(next), Is.Zero);
        byte[] last = new byte[100];
        for (int i = 0; i < opens; i++)
        {
            Assert.That(next.WaitToReceive(Watchdog.Limit) && next.TryReceive(last, out int bytes)
                && last.AsSpan(0, bytes).SequenceEqual(open), Is.True);
        }

        AssertEnds(next);
    }

    private static int UntilItFails(ServerProcess sender, string words)
    {
        int sent = 0;
        string? answer = null;
        Watchdog.Until(
            () =>
            {
                answer = sender.Ask("go");
                if (answer?.StartsWith("sent ", StringComparison.Ordinal) == true) sent++;
                return answer is null || answer.StartsWith("failed: ", StringComparison.Ordinal);
            },
            "the sender is told");
        Assert.That(answer, Does.Contain(words), () => sender.Errors);
        return sent;
    }

    private static void AssertEnds(MessageReceiver receiver)
    {
        long start = Stopwatch.GetTimestamp();
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
        Assert.That(receiver.IsCompleted, Is.True);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(Watchdog.Limit), "not by its time running out");
    }

    private static int Descriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Length;
}
