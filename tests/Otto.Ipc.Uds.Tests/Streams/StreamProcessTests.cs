using System.Net.Sockets;
using Otto.Ipc.Conformance;
using static Otto.Ipc.Uds.Tests.Streams.NextPayload;

namespace Otto.Ipc.Uds.Tests.Streams;

// Streams between processes, and what is left when one of them is killed.

[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StreamProcessTests
{
    private TestDirectory _directory = null!;
    private UdsTransport _transport = null!;

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
        // A receiver that was killed leaves its socket to its successor.
        foreach (string left in Directory.GetFiles(_directory.Path, "*.stream*")) File.Delete(left);
        _directory.Dispose();
    }

    [Test]
    public void Another_process_receives_what_was_sent_before_it_came()
    {
        using MessageSender sender = _transport.OpenSender("frames");
        for (int i = 0; i < 3; i++) Assert.That(sender.TrySend(Payload.Make(1, i, 50)), Is.True);
        using var receiver = new ServerProcess("stream-receive", _directory.SocketPath, "frames", "4");
        Assert.That(receiver.ReadLine(), Is.EqualTo("ready"));
        for (int i = 0; i < 3; i++) Assert.That(receiver.ReadLine(), Is.EqualTo($"got {i}"));
        Assert.That(sender.TrySend(Payload.Make(1, 3, 50)), Is.True);
        Assert.That(receiver.ReadLine(), Is.EqualTo("got 3"));
    }

    [Test]
    public void A_killed_sender_leaves_what_it_sent()
    {
        const int Count = 500;
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using (var sender = new ServerProcess("stream-send", _directory.SocketPath, "frames", $"{Count}"))
        {
            Assert.That(sender.ReadLine(), Is.EqualTo("ready"));
            for (int i = 0; i < Count - 100; i++) Assert.That(Sequence(receiver), Is.EqualTo(i));
            Assert.That(sender.ReadLine(), Is.EqualTo("sent"));
            sender.Kill();
        }

        for (int i = Count - 100; i < Count; i++) Assert.That(Sequence(receiver), Is.EqualTo(i));
        Assert.That(receiver.WaitToReceive(TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(receiver.IsCompleted, Is.False, "it did not say that no more would come");
        using (MessageSender successor = _transport.OpenSender("frames")) successor.Complete();
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
        Assert.That(receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_killed_receiver_leaves_what_it_did_not_read_to_the_next()
    {
        const int Count = 1_000, Read = 300;
        using MessageSender sender = _transport.OpenSender("frames");
        var receiver = new ServerProcess("stream-receive", _directory.SocketPath, "frames", $"{Read}");
        Assert.That(receiver.ReadLine(), Is.EqualTo("ready"));
        Task sending = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < Count; i++) sender.SendAsync(Payload.Make(1, i, 200)).AsTask().Wait();
        });
        for (int i = 0; i < Read; i++) Assert.That(receiver.ReadLine(), Is.EqualTo($"got {i}"));
        receiver.Kill();
        receiver.Dispose();
        using MessageReceiver next = _transport.OpenReceiver("frames");
        int first = Sequence(next);
        Assert.That(first, Is.InRange(Read - 64, Read), "nothing is missing, and at most 64 come again");
        for (int i = first + 1; i < Count; i++) Assert.That(Sequence(next), Is.EqualTo(i));
        Assert.That(sending.Wait(Watchdog.Limit), Is.True);
    }

    [Test]
    public void A_second_receiver_is_refused_and_named()
    {
        using var receiver = new ServerProcess("stream-receive", _directory.SocketPath, "frames", "1");
        Assert.That(receiver.ReadLine(), Is.EqualTo("ready"));
        Assert.That(Assert.Throws<SocketInUseException>(() => _transport.OpenReceiver("frames"))!.HolderPid, Is.EqualTo(receiver.Id));
        using MessageSender sender = _transport.OpenSender("frames");
        sender.TrySend(Payload.Make(1, 0, 50));
        Assert.That(receiver.ReadLine(), Is.EqualTo("got 0"));
    }

    [Test]
    public void Messages_far_larger_than_the_kernels_buffers_arrive()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using MessageSender sender = _transport.OpenSender("frames", new UdsStreamOptions { Capacity = 32 << 20 });
        Assert.That(sender.MaxMessageBytes, Is.EqualTo((16 << 20) - 8));
        for (int i = 0; i < 5; i++)
        {
            byte[] large = Payload.Make(1, i, sender.MaxMessageBytes);
            while (!sender.TrySend(large)) Assert.That(sender.WaitToSend(large.Length, Watchdog.Limit), Is.True);
            Assert.That(Sequence(receiver), Is.EqualTo(i));
        }
    }

    [Test]
    public void A_client_of_another_protocol_harms_no_other_sender()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        using MessageSender sender = _transport.OpenSender("frames");
        sender.TrySend(Payload.Make(1, 0, 50));
        foreach (byte[] garbage in (byte[][])[[], [1], "GET / HTTP/1.1\r\n\r\n"u8.ToArray(), [255, 255, 255, 255, 0, 0, 0, 0],
            [10, 0, 0, 0, 0, 0, 0, 0, 1], [8, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]])
        {
            using var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            stranger.Connect(new UnixDomainSocketEndPoint(Path.Combine(_directory.Path, "frames.stream")));
            stranger.Send(garbage);
        }

        Assert.That(Sequence(receiver), Is.Zero);
        Assert.That(receiver.TryReceive(out _), Is.False);
        sender.TrySend(Payload.Make(1, 1, 50));
        Assert.That(Sequence(receiver), Is.EqualTo(1));
    }

    [Test]
    public void Senders_that_came_and_went_leave_no_socket_open()
    {
        using MessageReceiver receiver = _transport.OpenReceiver("frames");
        int before = 0;
        for (int i = 0; i < 300; i++)
        {
            if (i == 50) before = OpenDescriptors.Sockets;
            using (MessageSender sender = _transport.OpenSender("frames")) sender.TrySend(Payload.Make(1, i, 50));
            Assert.That(Sequence(receiver), Is.EqualTo(i));
            receiver.TryReceive(out _);
        }

        Watchdog.Until(
            () =>
            {
                receiver.TryReceive(out _);
                return OpenDescriptors.Sockets <= before;
            },
            "each connection is closed once all was read");
    }

    [Test]
    public void A_stream_whose_path_would_be_too_long_is_refused_with_the_numbers()
    {
        var name = new ChannelName(new string('n', 100));
        Assert.That(() => _transport.OpenSender(name), Throws.ArgumentException.With.Message.Contains("107"));
        Assert.That(() => _transport.OpenSender("frames", new UdsStreamOptions { Capacity = 1000 }),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("1,000"));
    }
}
