namespace Otto.Ipc.Conformance;

// What a stream with several senders promises on top: order for each of them, a turn for each of them, and an end once all have ended.

/// <summary>The suite of streams that several senders share. The harness's stream has room
/// for at least three senders at once.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract class StreamSendersConformance
{
    private readonly List<MessageSender> _senders = [];
    // A test and a thread that it started may be the first to ask, both at once.
    private readonly Lock _opening = new();
    private IStreamHarness? _harness;
    private MessageReceiver? _receiver;

    protected MessageReceiver Receiver
    {
        get
        {
            lock (_opening) return _receiver ??= Harness.OpenReceiver();
        }
    }

    private IStreamHarness Harness
    {
        get
        {
            lock (_opening) return _harness ??= CreateHarness();
        }
    }

    /// <summary>Whether each sender has room of its own. Where they share it, one that is
    /// full leaves none for the others, but each gets some once it was read.</summary>
    protected virtual bool RoomForEachSender => true;

    /// <summary>Whether a sender that leaves or dies ends the stream as one that completes
    /// does, since the transport cannot tell them apart.</summary>
    protected virtual bool LeavingCompletes => false;

    /// <summary>Makes a stream that no other test knows.</summary>
    protected abstract IStreamHarness CreateHarness();

    [TearDown]
    public void Close()
    {
        foreach (MessageSender sender in _senders) sender.Dispose();
        _receiver?.Dispose();
        _harness?.Dispose();
    }

    [Test]
    public void Messages_of_every_sender_are_received()
    {
        MessageSender a = OpenSender(), b = OpenSender(), c = OpenSender();
        Assert.That(c.TrySend("c"u8) && a.TrySend("a"u8) && b.TrySend("b"u8), Is.True);
        Assert.That(new[] { Receive(), Receive(), Receive() },
            Is.EquivalentTo(new[] { "a"u8.ToArray(), "b"u8.ToArray(), "c"u8.ToArray() }));
        Assert.That(Receiver.TryReceive(out _), Is.False);
    }

    [Test]
    public void A_busy_sender_does_not_starve_the_others()
    {
        MessageSender busy = OpenSender(), quiet = OpenSender();
        int sent = FillUp(busy, sender: 1);
        bool told = quiet.TrySend(Payload.Make(2, 0, 20));
        // The busy one is kept full all the time; the quiet one's message comes before much more than one filling was read. Where they
        // share the room, both try for what becomes free, and the quiet one tries second.
        for (int read = 0; read <= 3 * sent + 10; read++)
        {
            Assert.That(Payload.TryRead(Receive(), out int sender, out _), Is.True);
            if (sender == 2) return;
            busy.TrySend(Payload.Make(1, sent + read, 20));
            told = told || quiet.TrySend(Payload.Make(2, 0, 20));
        }

        Assert.Fail("the quiet sender was not heard");
    }

    [Test]
    public void A_full_sender_leaves_room_for_the_others()
    {
        MessageSender full = OpenSender(), other = OpenSender();
        int sent = FillUp(full, sender: 1);
        if (RoomForEachSender)
        {
            Assert.That(other.TrySend("x"u8), Is.True);
            return;
        }

        Assert.That(other.TrySend(Payload.Make(2, 0, 20)), Is.False);
        for (int i = 0; i < sent; i++) Receive();
        Assert.That(other.TrySend("x"u8), Is.True);
    }

    [Test]
    public void A_receiver_receives_from_a_sender_that_opened_after_it_found_nothing()
    {
        MessageSender first = OpenSender();
        first.TrySend("1"u8);
        Receive();
        Assert.That(Receiver.TryReceive(out _), Is.False);
        OpenSender().TrySend("2"u8);
        Assert.That(Receive(), Is.EqualTo("2"u8.ToArray()));
    }

    [Test]
    public async Task A_blocked_receiver_wakes_for_a_sender_that_came_later()
    {
        // Opened here: opened on the other thread, it could be another stream's, since each side would make one.
        MessageReceiver receiver = Receiver;
        Task<bool> waiting = Watchdog.RunOnThread(() => receiver.WaitToReceive(Timeout.InfiniteTimeSpan));
        OpenSender();
        OpenSender().TrySend("later"u8);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Receive(), Is.EqualTo("later"u8.ToArray()));
    }

    [Test]
    public void What_a_sender_left_is_read_after_it_has_gone_and_its_place_is_free_again()
    {
        var expected = new List<int>();
        // Far more senders than there are places, three at a time.
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < 3; i++) OpenSender();
            foreach (MessageSender sender in _senders)
            {
                sender.TrySend(Payload.Make(7, expected.Count, 20));
                expected.Add(expected.Count);
            }

            foreach (MessageSender sender in _senders) sender.Dispose();
            _senders.Clear();
        }

        var read = new List<int>();
        while (TryReceive() is { } message)
        {
            Assert.That(Payload.TryRead(message, out _, out int sequence), Is.True);
            read.Add(sequence);
        }

        Assert.That(read, Is.EquivalentTo(expected));
    }

    [Test]
    public void One_sender_after_another_is_read_in_order()
    {
        for (int i = 0; i < 10; i++)
        {
            using MessageSender sender = Harness.OpenSender();
            sender.TrySend(Payload.Make(1, i, 20));
        }

        for (int i = 0; i < 10; i++) Assert.That(Receive(), Is.EqualTo(Payload.Make(1, i, 20)));
    }

    [Test]
    public void The_stream_is_completed_once_every_sender_completed_and_all_was_read()
    {
        MessageSender a = OpenSender(), b = OpenSender();
        Assert.That(Receiver.IsCompleted, Is.False);
        a.TrySend("last"u8);
        a.Complete();
        Assert.That(Receiver.IsCompleted, Is.False);
        b.Complete();
        Assert.That(Receiver.IsCompleted, Is.False);
        Receive();
        Assert.That(Receiver.IsCompleted, Is.True);
        Assert.That(Receiver.WaitToReceive(Timeout.InfiniteTimeSpan), Is.False);
    }

    [Test]
    public void A_sender_that_ended_without_completing_is_completed_by_its_successor()
    {
        MessageSender a = OpenSender(), b = OpenSender(), c = OpenSender();
        a.Complete();
        c.Complete();
        a.Dispose();
        Assert.That(Receiver.IsCompleted, Is.False);
        b.Dispose();
        Assert.That(Receiver.IsCompleted, Is.EqualTo(LeavingCompletes));
        // Two places are free; the successor gets the one that nobody completed.
        MessageSender successor = OpenSender();
        Assert.That(Receiver.IsCompleted, Is.False);
        successor.Complete();
        Assert.That(Receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_sender_that_opens_a_completed_stream_begins_it_anew()
    {
        MessageSender a = OpenSender();
        a.Complete();
        Assert.That(Receiver.IsCompleted, Is.True);
        MessageSender b = OpenSender();
        Assert.That(Receiver.IsCompleted, Is.False);
        b.TrySend("again"u8);
        b.Complete();
        Assert.That(Receive(), Is.EqualTo("again"u8.ToArray()));
        Assert.That(Receiver.IsCompleted, Is.True);
    }

    [Test]
    public void A_copy_of_a_lease_that_ended_does_not_end_the_next_one()
    {
        // Two senders at the same position: what names a lease must not be the position alone.
        MessageSender a = OpenSender(), b = OpenSender();
        a.TrySend("one"u8);
        b.TrySend("two"u8);
        Assert.That(Receiver.TryReceive(out ReadLease first), Is.True);
        ReadLease copy = first;
        first.Dispose();
        Assert.That(Receiver.TryReceive(out ReadLease second), Is.True);
        copy.Dispose();
        bool stillHeld = false;
        try
        {
            Receiver.TryReceive(out _);
        }
        catch (InvalidOperationException)
        {
            stillHeld = true;
        }

        Assert.That(stillHeld, Is.True, "the copy of the first lease ended the second");
        second.Dispose();
        Assert.That(Receiver.TryReceive(out _), Is.False);
    }

    [Test]
    public async Task Senders_that_come_and_go_beside_the_receiver_lose_nothing_and_keep_their_order()
    {
        const int Threads = 3, Lives = 40, MessagesALife = 500;
        Task[] sending = [.. Enumerable.Range(0, Threads).Select(thread => Watchdog.RunOnThread(() =>
        {
            for (int life = 0; life < Lives; life++)
            {
                using MessageSender sender = Harness.OpenSender();
                for (int i = 0; i < MessagesALife; i++)
                {
                    byte[] message = Payload.Make(thread * Lives + life, i, 20 + i % 100);
                    while (!sender.TrySend(message)) Assert.That(sender.WaitToSend(message.Length, Watchdog.Limit), Is.True);
                }
            }
        }))];
        Task all = Task.WhenAll(sending);
        int[] next = new int[Threads * Lives];
        for (int read = 0; read < Threads * Lives * MessagesALife; read++)
        {
            // Between two lives of each sender there may be none, which is an end where leaving is one.
            bool allSent = all.IsCompleted;
            while (!Receiver.WaitToReceive(Watchdog.Limit))
            {
                if (allSent || !LeavingCompletes) Assert.Fail($"message {read} never came");
                allSent = all.IsCompleted;
            }

            byte[] message = Receive();
            if (!Payload.TryRead(message, out int sender, out int sequence) || sequence != next[sender]++)
                Assert.Fail($"sender {sender} sent {sequence} out of order, or torn");
        }

        await Watchdog.WaitAsync(all);
        Assert.That(next, Is.All.EqualTo(MessagesALife));
    }

    private MessageSender OpenSender()
    {
        MessageSender sender = Harness.OpenSender();
        _senders.Add(sender);
        return sender;
    }

    private static int FillUp(MessageSender end, int sender)
    {
        int sent = 0;
        while (end.TrySend(Payload.Make(sender, sent, 20))) Assert.That(++sent, Is.LessThan(100_000), "this stream never fills up");
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
