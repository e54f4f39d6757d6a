using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.Channels;

namespace Otto.Ipc.Conformance;

// ReceiveAsync, ReadAllAsync and typed messages: one message for each step, whatever ends the loop.

public abstract partial class StreamConformance
{
    [Test]
    public async Task ReceiveAsync_waits_for_a_message_and_copies_it()
    {
        ValueTask<ReadOnlyMemory<byte>> receiving = Receiver.ReceiveAsync();
        Assert.That(receiving.IsCompleted, Is.False);
        Sender.TrySend("first"u8);
        ReadOnlyMemory<byte> first = await Watchdog.WaitAsync(receiving);
        Sender.TrySend("other"u8);
        ReadOnlyMemory<byte> second = await Watchdog.WaitAsync(Receiver.ReceiveAsync());
        Assert.That(first.ToArray(), Is.EqualTo("first"u8.ToArray()), "a copy, which the next message does not change");
        Assert.That(second.ToArray(), Is.EqualTo("other"u8.ToArray()));
        Assert.That(TryReceive(), Is.Null, "both count as read");
    }

    [Test]
    public async Task ReceiveAsync_on_a_completed_stream_throws_ChannelClosedException_once_all_was_read()
    {
        Sender.TrySend("last"u8);
        Sender.Complete();
        Assert.That((await Watchdog.WaitAsync(Receiver.ReceiveAsync())).ToArray(), Is.EqualTo("last"u8.ToArray()));
        Assert.That(async () => await Watchdog.WaitAsync(Receiver.ReceiveAsync()), Throws.InstanceOf<ChannelClosedException>());
        Assert.That(async () => await Watchdog.WaitAsync(Receiver.ReceiveAsync()), Throws.InstanceOf<ChannelClosedException>(),
            "and again");
    }

    [Test]
    public void ReceiveAsync_that_waits_throws_ChannelClosedException_when_the_sender_completes()
    {
        ValueTask<ReadOnlyMemory<byte>> receiving = Receiver.ReceiveAsync();
        Sender.Complete();
        Assert.That(async () => await Watchdog.WaitAsync(receiving), Throws.InstanceOf<ChannelClosedException>());
        Assert.That(Receiver.IsCompleted, Is.True);
    }

    [Test]
    public async Task ReceiveAsync_that_is_cancelled_beside_a_send_takes_the_message_or_leaves_it()
    {
        for (int i = 0; i < Cancellations; i++)
        {
            using var stop = new CancellationTokenSource();
            ValueTask<ReadOnlyMemory<byte>> receiving = Receiver.ReceiveAsync(stop.Token);
            Task cancelling = Task.Run(stop.Cancel);
            Sender.TrySend(Payload.Make(1, i, 20));
            byte[] message;
            try
            {
                message = (await Watchdog.WaitAsync(receiving)).ToArray();
            }
            catch (OperationCanceledException)
            {
                message = await ReceiveSoonAsync();
            }

            await cancelling;
            if (!message.AsSpan().SequenceEqual(Payload.Make(1, i, 20))) Assert.Fail($"message {i} was lost");
        }

        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public void ReceiveAsync_with_a_cancelled_token_takes_nothing()
    {
        Sender.TrySend("x"u8);
        var cancelled = new CancellationToken(canceled: true);
        Assert.That(async () => await Receiver.ReceiveAsync(cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Receive(), Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public async Task ReadAllAsync_gives_every_message_in_order_and_ends_with_the_stream()
    {
        const int Messages = 3_000;
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < Messages; i++) await Sender.SendAsync(Payload.Make(1, i, 20 + i % 50));
            Sender.Complete();
        });
        int next = 0;
        Task reading = Task.Run(async () =>
        {
            await foreach (ReadOnlyMemory<byte> message in Receiver.ReadAllAsync())
            {
                if (!message.Span.SequenceEqual(Payload.Make(1, next, 20 + next % 50))) Assert.Fail($"message {next} came out changed");
                next++;
            }
        });
        await Watchdog.WaitAsync(Task.WhenAll(sending, reading), Watchdog.BulkLimit);
        Assert.That(next, Is.EqualTo(Messages));
        Assert.That(Receiver.IsCompleted, Is.True);
    }

    [Test]
    public async Task ReadAllAsync_that_is_left_keeps_the_rest_for_the_next_loop()
    {
        for (int i = 0; i < 5; i++) Sender.TrySend(Payload.Make(1, i, 20));
        int next = 0;
        for (int loop = 0; loop < 5; loop++)
        {
            await foreach (ReadOnlyMemory<byte> message in Receiver.ReadAllAsync())
            {
                Assert.That(message.ToArray(), Is.EqualTo(Payload.Make(1, next++, 20)));
                break;
            }
        }

        Assert.That((next, TryReceive()), Is.EqualTo((5, (byte[]?)null)));
    }

    [Test]
    public async Task ReadAllAsync_that_is_cancelled_in_its_middle_loses_nothing()
    {
        using var stop = new CancellationTokenSource();
        for (int i = 0; i < 6; i++) Sender.TrySend(Payload.Make(1, i, 20));
        int next = 0;
        Assert.That(
            async () =>
            {
                await foreach (ReadOnlyMemory<byte> message in Receiver.ReadAllAsync(stop.Token))
                {
                    Assert.That(message.ToArray(), Is.EqualTo(Payload.Make(1, next++, 20)));
                    if (next == 3) await stop.CancelAsync();
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(next, Is.EqualTo(3), "not one more after the token");
        for (; next < 6; next++) Assert.That(await ReceiveSoonAsync(), Is.EqualTo(Payload.Make(1, next, 20)));
    }

    [Test]
    public async Task ReadAllAsync_ends_a_wait_when_it_is_cancelled()
    {
        using var stop = new CancellationTokenSource();
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> messages = Receiver.ReadAllAsync(stop.Token).GetAsyncEnumerator();
        ValueTask<bool> waiting = messages.MoveNextAsync();
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<OperationCanceledException>());
        Sender.TrySend("after"u8);
        Assert.That(await ReceiveSoonAsync(), Is.EqualTo("after"u8.ToArray()));
    }

    [Test]
    public async Task ReadAllAsync_of_a_receiver_that_is_disposed_meanwhile_throws_ObjectDisposedException()
    {
        Sender.TrySend("x"u8);
        await using IAsyncEnumerator<ReadOnlyMemory<byte>> messages = Receiver.ReadAllAsync().GetAsyncEnumerator();
        Assert.That(await Watchdog.WaitAsync(messages.MoveNextAsync()), Is.True);
        ValueTask<bool> waiting = messages.MoveNextAsync();
        Receiver.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await Receiver.ReceiveAsync(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Typed_messages_arrive_as_they_were_sent()
    {
        var order = new ConformanceOrder(7, "2 × Grüner Tee", 5.40m);
        await Sender.SendAsync(order, ConformanceJson.Default.ConformanceOrder);
        Assert.That(await Receiver.ReceiveAsync(ConformanceJson.Default.ConformanceOrder), Is.EqualTo(order));
        for (int i = 0; i < 3; i++) await Sender.SendAsync(order with { Number = i }, ConformanceJson.Default.ConformanceOrder);
        Sender.Complete();
        int next = 0;
        await foreach (ConformanceOrder each in Receiver.ReadAllAsync(ConformanceJson.Default.ConformanceOrder))
            Assert.That(each, Is.EqualTo(order with { Number = next++ }));
        Assert.That(next, Is.EqualTo(3));
        Assert.That(ReceiveOrderAsync, Throws.InstanceOf<ChannelClosedException>());
    }

    [Test]
    public async Task A_typed_message_that_is_none_is_a_JsonException_and_is_not_delivered_again()
    {
        await Sender.SendAsync("{\"number\":"u8.ToArray());
        await Sender.SendAsync("null"u8.ToArray());
        await Sender.SendAsync("after"u8.ToArray());
        Assert.That(ReceiveOrderAsync, Throws.InstanceOf<JsonException>());
        Assert.That(ReceiveOrderAsync, Throws.InstanceOf<JsonException>().With.Message.Contains("null"));
        Assert.That(await ReceiveSoonAsync(), Is.EqualTo("after"u8.ToArray()));
    }

    [Test]
    public async Task A_typed_receive_that_is_cancelled_loses_nothing()
    {
        using var stop = new CancellationTokenSource();
        ValueTask<ConformanceOrder> receiving = Receiver.ReceiveAsync(ConformanceJson.Default.ConformanceOrder, stop.Token);
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(receiving), Throws.InstanceOf<OperationCanceledException>());
        await Sender.SendAsync(new ConformanceOrder(1, "", 0), ConformanceJson.Default.ConformanceOrder);
        Assert.That((await Watchdog.WaitAsync(Receiver.ReceiveAsync(ConformanceJson.Default.ConformanceOrder))).Number, Is.EqualTo(1));
    }

    private async Task<ConformanceOrder> ReceiveOrderAsync() =>
        await Watchdog.WaitAsync(Receiver.ReceiveAsync(ConformanceJson.Default.ConformanceOrder));

    private async Task<byte[]> ReceiveSoonAsync() => (await Watchdog.WaitAsync(Receiver.ReceiveAsync())).ToArray();
}

/// <summary>What the typed tests send.</summary>
public sealed record ConformanceOrder(int Number, string What, decimal Price);

/// <summary>The metadata of what the typed tests send.</summary>
[JsonSerializable(typeof(ConformanceOrder))]
public sealed partial class ConformanceJson : JsonSerializerContext;
