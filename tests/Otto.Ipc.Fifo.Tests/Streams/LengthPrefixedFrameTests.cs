using System.Buffers.Binary;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// Length-prefixed frames, written and read by Python programs that know nothing but the format, and everything that can be wrong with one.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class LengthPrefixedFrameTests
{
    private static readonly FifoStreamOptions LengthPrefixed = new() { Framing = FifoFraming.LengthPrefixed };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Golden_bytes()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", LengthPrefixed);
        ExternalProgram python = _workspace.Python("print(open('frames.fifo', 'rb').read().hex())");
        Watchdog.Until(() => sender.TrySend("hello"u8), "the reader to come");
        sender.TrySend([]);
        sender.TrySend(new byte[300]);
        sender.Complete();
        Assert.That(python.Output(), Is.EqualTo("0500000068656c6c6f" + "00000000" + "2c010000" + new string('0', 600) + "\n"));
    }

    [Test]
    public void A_frame_that_comes_a_byte_at_a_time_is_put_together()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        ExternalProgram python = _workspace.Python(
            """
            import os, struct
            pipe = os.open('frames.fifo', os.O_WRONLY)
            for message in [b'', b'abc', bytes(range(256)), b'\n' * 5000]:
                for byte in struct.pack('<I', len(message)) + message:
                    os.write(pipe, bytes([byte]))
            """);
        Assert.That(receiver.NextBytes(), Is.Empty);
        Assert.That(receiver.NextBytes(), Is.EqualTo("abc"u8.ToArray()));
        Assert.That(receiver.NextBytes(), Is.EqualTo(Enumerable.Range(0, 256).Select(i => (byte)i)));
        Assert.That(receiver.NextBytes(), Is.EqualTo(Enumerable.Repeat((byte)'\n', 5000)));
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
        python.Output();
    }

    [TestCase("0500000068656c", "3 of its 5 bytes", "656C")]
    [TestCase("0500", "2 of 4 bytes of its length", "0500")]
    public void A_cut_last_frame_is_an_error_that_names_its_bytes(string hex, string numbers, string shown)
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        _workspace.Python($"open('frames.fifo', 'wb').write(bytes.fromhex('0100000078{hex}'))").Output();
        Assert.That(receiver.Next(), Is.EqualTo("x"));
        Assert.That(receiver.IsCompleted, Is.False);
        TruncatedFrameException thrown = Assert.Throws<TruncatedFrameException>(() => receiver.TryReceive(out _));
        Assert.That(thrown!.Message, Does.Contain(numbers).And.Contain(shown).And.Contain(_workspace.PathOf("frames")));
        Assert.That(thrown.Received.ToArray(), Is.EqualTo(Convert.FromHexString(hex)));
        Assert.That(receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_length_over_the_limit_stops_the_receiver_and_names_both()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        _workspace.Bash("echo 'hello, you' > frames.fifo").Output();
        for (int i = 0; i < 2; i++)
        {
            Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True);
            var thrown = Assert.Throws<InvalidDataException>(() => receiver.TryReceive(out _));
            uint length = BinaryPrimitives.ReadUInt32LittleEndian("hell"u8);
            Assert.That(thrown!.Message, Does.Contain($"{length:N0}").And.Contain("65,536").And.Contain("'hell'"));
        }
    }

    [Test]
    public void A_frame_larger_than_the_room_left_is_sent_and_arrives_whole()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        using MessageSender sender = _workspace.Transport.OpenSender("frames", LengthPrefixed);
        int sent = 0;
        while (sender.TrySend(Payload.Make(1, sent, 65_536))) sent++;
        Assert.That(sent, Is.GreaterThanOrEqualTo(4), "256 KiB hold three, and the beginning of the fourth");
        Assert.That(sender.WaitToSend(65_536, TimeSpan.FromMilliseconds(20)), Is.False, "its rest has no room yet");
        for (int i = 0; i < sent; i++) Assert.That(receiver.NextBytes(), Is.EqualTo(Payload.Make(1, i, 65_536)));
        Assert.That(sender.WaitToSend(65_536, Watchdog.Limit), Is.True);
        Assert.That(receiver.TryReceive(out _), Is.False);
    }

    [Test]
    public void The_rest_of_a_frame_is_written_after_its_sender_was_disposed()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        int sent = 0;
        using (MessageSender sender = _workspace.Transport.OpenSender("frames", LengthPrefixed))
        {
            while (sender.TrySend(Payload.Make(1, sent, 60_000))) sent++;
        }

        for (int i = 0; i < sent; i++) Assert.That(receiver.NextBytes(), Is.EqualTo(Payload.Make(1, i, 60_000)));
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.False);
    }

    [Test]
    public void A_slot_that_was_reserved_beside_another_sender_is_sent_whatever_that_one_took()
    {
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", LengthPrefixed);
        using MessageSender first = _workspace.Transport.OpenSender("frames", LengthPrefixed),
            second = _workspace.Transport.OpenSender("frames", LengthPrefixed);
        Assert.That(first.TryReserve(60_000, out WriteSlot slot), Is.True);
        Payload.Fill(slot.Bytes, 1, 0);
        int sent = 0;
        while (second.TrySend(Payload.Make(2, sent, 30_000))) sent++;
        slot.Commit(60_000);
        var got = new List<int>();
        for (int i = 0; i <= sent; i++)
        {
            Assert.That(Payload.TryRead(receiver.NextBytes(), out int sender, out _), Is.True, "torn");
            got.Add(sender);
        }

        Assert.That(got, Is.EquivalentTo(Enumerable.Repeat(2, sent).Append(1)));
    }

    [Test]
    public async Task Frames_of_several_senders_stay_whole_whatever_their_size()
    {
        const int Senders = 4, Each = 300;
        var options = LengthPrefixed with { MaxMessageBytes = 100_000 };
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", options);
        Task[] sending = [.. Enumerable.Range(0, Senders).Select(me => Watchdog.RunOnThread(() =>
        {
            using MessageSender sender = _workspace.Transport.OpenSender("frames");
            for (int i = 0; i < Each; i++)
            {
                // Small ones, ones that one write carries, and ones that it does not.
                byte[] message = Payload.Make(me, i, (i % 3) switch { 0 => 50, 1 => 4_000, _ => 20_000 + i * 97 % 80_000 });
                while (!sender.TrySend(message)) Assert.That(sender.WaitToSend(message.Length, Watchdog.Limit), Is.True);
            }
        }))];
        int[] next = new int[Senders];
        for (int i = 0; i < Senders * Each; i++)
        {
            byte[] message = receiver.NextBytes();
            if (!Payload.TryRead(message, out int sender, out int sequence) || sequence != next[sender]++)
                Assert.Fail($"message {i} is torn or out of order: sender {sender}, {sequence}");
        }

        await Watchdog.WaitAsync(Task.WhenAll(sending));
    }
}
