namespace Otto.Ipc.Mmap.Tests.Fundamentals;

// How to use a stream, from the first message to the last. Each test is a page; read them in order.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StreamFundamentals
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Page_1_One_process_sends_and_another_receives()
    {
        // Both name the stream; whoever comes first creates it.
        MmapTransport transport = _workspace.Transport;
        using MessageSender sender = transport.OpenSender("greetings");
        using MessageReceiver receiver = transport.OpenReceiver("greetings");

        sender.TrySend("hello"u8);

        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        Assert.That(lease.Bytes.SequenceEqual("hello"u8), Is.True);
        lease.Dispose(); // now it counts as read, and its room can be used again
    }

    [Test]
    public void Page_2_Write_in_place_where_the_receiver_will_read()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("greetings");
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("greetings");

        if (sender.TryReserve(maxBytes: 100, out WriteSlot slot))
        {
            using (slot) // sends nothing if it is not committed
            {
                "hello"u8.CopyTo(slot.Bytes);
                slot.Commit(5);
            }
        }

        byte[] buffer = new byte[100];
        Assert.That(receiver.TryReceive(buffer, out int bytes), Is.True);
        Assert.That(buffer.AsSpan(0, bytes).SequenceEqual("hello"u8), Is.True);
    }

    [Test]
    public async Task Page_3_Wait_when_there_is_nothing_to_read_or_no_room_to_write()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("numbers", new MmapStreamOptions { Capacity = 4096 });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("numbers");
        Task<int> adding = Task.Run(async () =>
        {
            int sum = 0;
            while (await receiver.WaitToReceiveAsync()) // false once the sender has said that no more will come
            {
                while (receiver.TryReceive(out ReadLease lease))
                {
                    sum += lease.Bytes[0];
                    lease.Dispose();
                }
            }

            return sum;
        });

        for (int i = 0; i < 10_000; i++) await sender.SendAsync(new byte[] { 1 }); // full is no error: it waits
        sender.Complete();

        Assert.That(await adding, Is.EqualTo(10_000));
    }

    [Test]
    public void Page_4_What_was_sent_outlives_its_sender()
    {
        using (MessageSender sender = _workspace.Transport.OpenSender("notes")) sender.TrySend("kept"u8);

        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("notes");
        Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
        lease.Dispose();
        receiver.Dispose();

        // The file stays until the machine restarts, or until it is removed.
        Assert.That(_workspace.Transport.RemoveStream("notes"), Is.True);
    }
}
