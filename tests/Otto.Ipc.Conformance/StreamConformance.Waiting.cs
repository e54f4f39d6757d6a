using System.Diagnostics;

namespace Otto.Ipc.Conformance;

// Waiting: blocked or async, with a time limit, a token, or a dispose from elsewhere. None of them may lose a message.

public abstract partial class StreamConformance
{
    [Test]
    public async Task A_blocked_receiver_wakes_for_a_message()
    {
        Task<bool> waiting = Watchdog.RunOnThread(() => Receiver.WaitToReceive(Timeout.InfiniteTimeSpan));
        Sender.TrySend("x"u8);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Receive(), Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public async Task An_async_receiver_wakes_for_a_message()
    {
        ValueTask<bool> waiting = Receiver.WaitToReceiveAsync();
        Sender.TrySend("x"u8);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Receive(), Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public void A_wait_with_a_time_limit_ends_without_a_message()
    {
        long start = Stopwatch.GetTimestamp();
        Assert.That(Receiver.WaitToReceive(TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(49)));
        Assert.That(Receiver.WaitToReceive(TimeSpan.Zero), Is.False);
    }

    [Test]
    public void A_wait_for_room_with_a_time_limit_ends_while_the_stream_is_full()
    {
        FillUp();
        long start = Stopwatch.GetTimestamp();
        Assert.That(Sender.WaitToSend(1000, TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(49)));
    }

    [Test]
    public async Task A_blocked_sender_wakes_for_room()
    {
        int sent = FillUp();
        Task<bool> waiting = Watchdog.RunOnThread(() => Sender.WaitToSend(1000, Timeout.InfiniteTimeSpan));
        for (int i = 0; i < sent; i++) Receive();
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Sender.TrySend(Payload.Make(1, 1, 1000)), Is.True);
    }

    [Test]
    public async Task SendAsync_waits_for_room_and_then_sends()
    {
        int sent = FillUp();
        ValueTask sending = Sender.SendAsync(Payload.Make(1, sent, 1000));
        Assert.That(sending.IsCompleted, Is.False);
        for (int i = 0; i < sent; i++) Receive();
        await Watchdog.WaitAsync(sending);
        Assert.That(Receive(), Is.EqualTo(Payload.Make(1, sent, 1000)));
    }

    [Test]
    public async Task A_flush_ends_once_the_senders_process_is_not_needed()
    {
        await Sender.FlushAsync().AsTask().WaitAsync(Watchdog.Limit);
        Assert.That(Sender.TrySend("kept"u8), Is.True);
        await Sender.FlushAsync().AsTask().WaitAsync(Watchdog.Limit);
        Sender.Complete();
        await Sender.FlushAsync().AsTask().WaitAsync(Watchdog.Limit);
        Assert.That(Receive(), Is.EqualTo("kept"u8.ToArray()));
    }

    [Test]
    public async Task Completing_ends_a_wait()
    {
        Task<bool> waiting = Watchdog.RunOnThread(() => Receiver.WaitToReceive(Timeout.InfiniteTimeSpan));
        Sender.Complete();
        Assert.That(await Watchdog.WaitAsync(waiting), Is.False);
        Assert.That(Receiver.IsCompleted, Is.True);
    }

    [Test]
    public async Task Cancelling_ends_a_blocked_wait()
    {
        using var stop = new CancellationTokenSource();
        Task<bool> waiting = Watchdog.RunOnThread(() => Receiver.WaitToReceive(Timeout.InfiniteTimeSpan, stop.Token));
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void A_token_that_was_cancelled_before_stops_every_wait()
    {
        var cancelled = new CancellationToken(canceled: true);
        Assert.That(() => Receiver.WaitToReceive(Timeout.InfiniteTimeSpan, cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Receiver.WaitToReceiveAsync(cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Sender.SendAsync("x"u8.ToArray(), cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public async Task Cancelling_beside_a_send_never_loses_a_message()
    {
        for (int i = 0; i < Cancellations; i++)
        {
            using var stop = new CancellationTokenSource();
            ValueTask<bool> waiting = Receiver.WaitToReceiveAsync(stop.Token);
            Task cancelling = Task.Run(stop.Cancel);
            Sender.TrySend(Payload.Make(1, i, 20));
            try
            {
                await Watchdog.WaitAsync(waiting);
            }
            catch (OperationCanceledException)
            {
            }

            await cancelling;
            if (!Receive().AsSpan().SequenceEqual(Payload.Make(1, i, 20))) Assert.Fail($"message {i} was lost");
        }
    }

    [Test]
    public async Task A_blocked_wait_ends_when_its_receiver_is_disposed()
    {
        Task<bool> waiting = Watchdog.RunOnThread(() => Receiver.WaitToReceive(Timeout.InfiniteTimeSpan));
        Receiver.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void An_async_wait_ends_when_its_receiver_is_disposed()
    {
        ValueTask<bool> waiting = Receiver.WaitToReceiveAsync();
        Receiver.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task A_blocked_wait_for_room_ends_when_its_sender_is_disposed()
    {
        FillUp();
        Task<bool> waiting = Watchdog.RunOnThread(() => Sender.WaitToSend(1000, Timeout.InfiniteTimeSpan));
        Sender.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_disposed_end_refuses_calls_and_may_be_disposed_again()
    {
        Sender.Dispose();
        Sender.Dispose();
        Receiver.Dispose();
        Receiver.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Sender.TrySend("x"u8));
        Assert.Throws<ObjectDisposedException>(() => Sender.TryReserve(1, out _));
        Assert.Throws<ObjectDisposedException>(() => Receiver.TryReceive(out _));
        Assert.Throws<ObjectDisposedException>(() => Receiver.WaitToReceive(TimeSpan.Zero));
    }

    [Test]
    public async Task Disposing_beside_calls_in_flight_is_safe()
    {
        for (int i = 0; i < 100; i++)
        {
            using IStreamHarness harness = CreateHarness();
            MessageSender sender = harness.OpenSender();
            MessageReceiver receiver = harness.OpenReceiver();
            Task sending = Watchdog.RunOnThread(() => UntilDisposed(() => sender.TrySend("beside"u8)));
            Task receiving = Watchdog.RunOnThread(() => UntilDisposed(() =>
            {
                if (receiver.TryReceive(out ReadLease lease)) lease.Dispose();
            }));
            Thread.SpinWait(i * 200);
            sender.Dispose();
            receiver.Dispose();
            await Watchdog.WaitAsync(Task.WhenAll(sending, receiving));
        }
    }

    [Test]
    public async Task A_sender_and_a_receiver_on_two_threads_pass_every_message_in_order()
    {
        int count = MessagesInARow;
        Task receiving = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < count; i++)
            {
                if (!Receiver.WaitToReceive(Watchdog.Limit)) Assert.Fail($"message {i} never came");
                byte[] message = Receive();
                if (!Payload.TryRead(message, out _, out int sequence) || sequence != i)
                    Assert.Fail($"expected message {i}, got {sequence}");
            }
        });
        byte[] buffer = new byte[400];
        for (int i = 0; i < count; i++)
        {
            Span<byte> message = buffer.AsSpan(0, Payload.HeaderBytes + i % 300);
            Payload.Fill(message, 1, i);
            while (!Sender.TrySend(message)) Assert.That(Sender.WaitToSend(message.Length, Watchdog.Limit), Is.True);
        }

        await Watchdog.WaitAsync(receiving);
    }

    [Test]
    public async Task Async_ends_pass_every_message_in_order()
    {
        const int Count = 5_000;
        Task receiving = Task.Run(async () =>
        {
            for (int i = 0; i < Count; i++)
            {
                await Receiver.WaitToReceiveAsync();
                if (!Payload.TryRead(Receive(), out _, out int sequence) || sequence != i)
                    Assert.Fail($"expected message {i}, got {sequence}");
            }
        });
        for (int i = 0; i < Count; i++) await Sender.SendAsync(Payload.Make(1, i, 200));
        await Watchdog.WaitAsync(receiving);
    }

    private static void UntilDisposed(Action call)
    {
        try
        {
            while (true) call();
        }
        catch (ObjectDisposedException)
        {
        }
    }
}
