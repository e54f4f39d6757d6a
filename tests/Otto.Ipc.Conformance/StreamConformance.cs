namespace Otto.Ipc.Conformance;

// What every stream promises, whichever transport carries it. A transport's test hands in a factory and gets all of these.

/// <summary>A fresh stream of one transport, for one test.</summary>
public interface IStreamHarness : IDisposable
{
    /// <summary>Opens the sending end. The stream holds at least 2,048 bytes and fills up
    /// within a few megabytes.</summary>
    MessageSender OpenSender();

    /// <summary>Opens the receiving end.</summary>
    MessageReceiver OpenReceiver();
}

/// <summary>The suite of the stream shape.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract partial class StreamConformance
{
    // A test and a thread that it started may be the first to ask, both at once.
    private readonly Lock _opening = new();
    private IStreamHarness? _harness;
    private MessageSender? _sender;
    private MessageReceiver? _receiver;

    protected MessageSender Sender
    {
        get
        {
            lock (_opening) return _sender ??= Harness.OpenSender();
        }
    }

    protected MessageReceiver Receiver
    {
        get
        {
            lock (_opening) return _receiver ??= Harness.OpenReceiver();
        }
    }

    /// <summary>How often a wait is cancelled beside a send.</summary>
    protected virtual int Cancellations => 3_000;

    /// <summary>How many messages one sender sends to one receiver.</summary>
    protected virtual int MessagesInARow => 200_000;

    private IStreamHarness Harness
    {
        get
        {
            lock (_opening) return _harness ??= CreateHarness();
        }
    }

    /// <summary>Makes a stream that no other test knows.</summary>
    protected abstract IStreamHarness CreateHarness();

    [SetUp]
    public void Open()
    {
        _ = Sender;
        _ = Receiver;
    }

    [TearDown]
    public void Close()
    {
        _sender?.Dispose();
        _receiver?.Dispose();
        _harness?.Dispose();
    }

    [Test]
    public void A_message_arrives_as_it_was_sent()
    {
        Assert.That(Sender.TrySend("hello"u8), Is.True);
        Assert.That(Receive(), Is.EqualTo("hello"u8.ToArray()));
    }

    [Test]
    public void Messages_arrive_in_the_order_in_which_they_were_sent()
    {
        for (int i = 0; i < 50; i++) Assert.That(Sender.TrySend(Payload.Make(1, i, 20)), Is.True);
        for (int i = 0; i < 50; i++) Assert.That(Receive(), Is.EqualTo(Payload.Make(1, i, 20)));
    }

    [Test]
    public void An_empty_stream_is_an_answer_and_not_an_error()
    {
        Assert.That(Receiver.TryReceive(out ReadLease lease), Is.False);
        Assert.That(lease.Bytes.IsEmpty, Is.True);
        Assert.That(Receiver.TryReceive(new byte[10], out int bytes), Is.False);
        Assert.That(bytes, Is.Zero);
    }

    [Test]
    public void A_full_stream_is_an_answer_and_drops_nothing()
    {
        int sent = FillUp();
        Assert.That(Sender.TrySend(Payload.Make(1, sent, 1000)), Is.False);
        Assert.That(Sender.TryReserve(1000, out _), Is.False);
        for (int i = 0; i < sent; i++) Assert.That(Receive(), Is.EqualTo(Payload.Make(1, i, 1000)));
        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public void A_full_stream_takes_messages_again_once_some_were_read()
    {
        int sent = FillUp();
        for (int i = 0; i < sent; i++) Receive();
        Assert.That(Sender.TrySend(Payload.Make(1, sent, 1000)), Is.True);
        Assert.That(Receive(), Is.EqualTo(Payload.Make(1, sent, 1000)));
    }

    [Test]
    public void A_message_over_the_limit_throws_both_sizes_and_writes_nothing()
    {
        int limit = Sender.MaxMessageBytes;
        byte[] large = new byte[limit + 1];
        var thrown = Assert.Throws<ArgumentOutOfRangeException>(() => Sender.TrySend(large));
        Assert.That(thrown!.Message, Does.Contain($"{limit + 1:N0}").And.Contain($"{limit:N0}"));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sender.TryReserve(limit + 1, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sender.TryReserve(-1, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sender.WaitToSend(limit + 1, TimeSpan.Zero));
        Assert.That(TryReceive(), Is.Null);
        Assert.That(Sender.TrySend("after"u8), Is.True);
        Assert.That(Receive(), Is.EqualTo("after"u8.ToArray()));
    }

    [Test]
    public void A_message_of_exactly_the_limit_arrives()
    {
        byte[] large = Payload.Make(1, 1, Sender.MaxMessageBytes);
        for (int i = 0; i < 3; i++)
        {
            Assert.That(Sender.TrySend(large), Is.True);
            Assert.That(Receive(), Is.EqualTo(large));
        }
    }

    [Test]
    public void A_message_of_no_bytes_is_a_message()
    {
        Assert.That(Sender.TrySend([]), Is.True);
        Assert.That(Sender.TrySend("x"u8), Is.True);
        Assert.That(Receive(), Is.Empty);
        Assert.That(Receive(), Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public void Every_byte_value_survives()
    {
        byte[] all = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        Assert.That(Sender.TrySend(all), Is.True);
        Assert.That(Receive(), Is.EqualTo(all));
    }

    [Test]
    public void Messages_survive_the_end_of_the_ring_at_every_alignment([Range(0, 9)] int odd)
    {
        // Sizes that share no factor with the capacity, so that the end of the ring is met at every multiple of eight.
        for (int i = 0; i < 2_000; i++)
        {
            byte[] message = Payload.Make(odd, i, Payload.HeaderBytes + (odd + i * 13) % 700);
            Assert.That(Sender.TrySend(message), Is.True);
            if (!Receive().AsSpan().SequenceEqual(message)) Assert.Fail($"message {i} of {message.Length} bytes came out changed");
        }
    }

    [Test]
    public void A_short_buffer_is_an_error_that_consumes_nothing()
    {
        Sender.TrySend(Payload.Make(1, 1, 100));
        var thrown = Assert.Throws<ArgumentException>(() => Receiver.TryReceive(new byte[99], out _));
        Assert.That(thrown!.Message, Does.Contain("100").And.Contain("99"));
        Assert.That(Receive(), Is.EqualTo(Payload.Make(1, 1, 100)));
    }

    [Test]
    public void A_lease_that_was_not_disposed_keeps_its_message_for_the_next_receiver()
    {
        Sender.TrySend("one"u8);
        Sender.TrySend("two"u8);
        Assert.That(Receive(), Is.EqualTo("one"u8.ToArray()));
        Reopen();
        Assert.That(Receive(), Is.EqualTo("two"u8.ToArray()));
    }

    [Test]
    public void Disposing_a_lease_twice_reads_one_message()
    {
        Sender.TrySend("one"u8);
        Sender.TrySend("two"u8);
        Assert.That(Receiver.TryReceive(out ReadLease lease), Is.True);
        ReadLease copy = lease;
        lease.Dispose();
        lease.Dispose();
        copy.Dispose();
        Assert.That(Receive(), Is.EqualTo("two"u8.ToArray()));
    }

    [Test]
    public void A_completed_stream_reports_it_once_all_was_read()
    {
        Sender.TrySend("last"u8);
        Sender.Complete();
        Assert.That(Receiver.IsCompleted, Is.False);
        Receive();
        Assert.That(Receiver.IsCompleted, Is.True);
        Assert.That(Receiver.WaitToReceive(Timeout.InfiniteTimeSpan), Is.False);
        Assert.Throws<InvalidOperationException>(() => Sender.TrySend("more"u8));
    }

    private void Reopen()
    {
        _receiver!.Dispose();
        _receiver = null;
    }

    private int FillUp(int bytes = 1000)
    {
        int sent = 0;
        while (Sender.TrySend(Payload.Make(1, sent, bytes))) Assert.That(++sent, Is.LessThan(100_000), "this stream never fills up");
        return sent;
    }

    private byte[] Receive() => TryReceive() ?? throw new AssertionException("a message was expected, the stream is empty");

    private byte[]? TryReceive()
    {
        if (!Receiver.TryReceive(out ReadLease lease)) return null;
        byte[] bytes = lease.Bytes.ToArray();
        lease.Dispose();
        return bytes;
    }
}
