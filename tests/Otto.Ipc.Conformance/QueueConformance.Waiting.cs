using System.Collections.Concurrent;
using System.Diagnostics;

namespace Otto.Ipc.Conformance;

// Waiting, cancelling, disposing beside calls, and many threads at once: every message accounted for exactly once.

public abstract partial class QueueConformance
{
    [Test]
    public async Task A_blocked_worker_wakes_for_a_message()
    {
        Task<bool> waiting = Watchdog.RunOnThread(() => Queue.WaitToLease(Timeout.InfiniteTimeSpan));
        OpenOther().TrySend("x"u8);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Work();
    }

    [Test]
    public async Task An_async_worker_wakes_for_a_message()
    {
        ValueTask<WorkLease> waiting = Queue.LeaseAsync();
        OpenOther().TrySend("x"u8);
        WorkLease lease = await Watchdog.WaitAsync(waiting);
        Assert.That(lease.Complete(), Is.True);
    }

    [Test]
    public async Task Every_waiting_worker_gets_one_of_as_many_messages()
    {
        Task<bool>[] workers = [.. Enumerable.Range(0, 6).Select(_ => Task.Run(async () => (await Queue.LeaseAsync()).Complete()))];
        for (int i = 0; i < workers.Length; i++) Queue.TrySend("x"u8);
        await Watchdog.WaitAsync(Task.WhenAll(workers));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void Waits_with_a_time_limit_end()
    {
        long start = Stopwatch.GetTimestamp();
        Assert.That(Queue.WaitToLease(TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(49)));
        FillUp();
        start = Stopwatch.GetTimestamp();
        Assert.That(Queue.WaitToSend(TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(49)));
    }

    [Test]
    public async Task A_blocked_sender_wakes_for_room()
    {
        FillUp();
        Task<bool> waiting = Watchdog.RunOnThread(() => Queue.WaitToSend(Timeout.InfiniteTimeSpan));
        Work();
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(Queue.TrySend("x"u8), Is.True);
    }

    [Test]
    public async Task SendAsync_waits_for_room_and_then_sends()
    {
        int sent = FillUp();
        ValueTask sending = Queue.SendAsync("last"u8.ToArray());
        Assert.That(sending.IsCompleted, Is.False);
        Work();
        await Watchdog.WaitAsync(sending);
        for (int i = 1; i < sent; i++) Work();
        Assert.That(Work(), Is.EqualTo("last"u8.ToArray()));
    }

    [Test]
    public async Task Cancelling_ends_waits()
    {
        using var stop = new CancellationTokenSource();
        Task<bool> blocked = Watchdog.RunOnThread(() => Queue.WaitToLease(Timeout.InfiniteTimeSpan, stop.Token));
        ValueTask<WorkLease> waiting = Queue.LeaseAsync(stop.Token);
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(blocked), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await Queue.SendAsync("x"u8.ToArray(), stop.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Queue.GetCounts().Ready, Is.Zero);
    }

    [Test]
    public async Task Cancelling_beside_a_send_never_loses_a_message()
    {
        for (int i = 0; i < Cancellations; i++)
        {
            using var stop = new CancellationTokenSource();
            ValueTask<WorkLease> waiting = Queue.LeaseAsync(stop.Token);
            Task cancelling = Task.Run(stop.Cancel);
            Queue.TrySend(Payload.Make(1, i, 20));
            WorkLease lease;
            try
            {
                lease = await Watchdog.WaitAsync(waiting);
            }
            catch (OperationCanceledException)
            {
                lease = Lease(); // the wait was cancelled, the message is still there
            }

            await cancelling;
            Assert.That(Payload.TryRead(lease.Payload.Span, out _, out int sequence) ? sequence : -1, Is.EqualTo(i));
            Assert.That(lease.Complete(), Is.True);
        }
    }

    [Test]
    public async Task Waits_end_when_their_handle_is_disposed()
    {
        FillUp();
        Task<bool> sender = Watchdog.RunOnThread(() => Queue.WaitToSend(Timeout.InfiniteTimeSpan));
        ValueTask asyncSender = Queue.SendAsync("x"u8.ToArray());
        Queue.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(sender), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await Watchdog.WaitAsync(asyncSender), Throws.InstanceOf<ObjectDisposedException>());

        WorkQueue other = OpenOther();
        while (other.TryLease(out WorkLease lease)) lease.Complete();
        Task<bool> worker = Watchdog.RunOnThread(() => other.WaitToLease(Timeout.InfiniteTimeSpan));
        ValueTask<WorkLease> asyncWorker = other.LeaseAsync();
        await other.DisposeAsync();
        Assert.That(async () => await Watchdog.WaitAsync(worker), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await Watchdog.WaitAsync(asyncWorker), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_disposed_handle_refuses_calls_and_may_be_disposed_again()
    {
        Queue.Dispose();
        Queue.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Queue.TrySend("x"u8));
        Assert.Throws<ObjectDisposedException>(() => Queue.TryLease(out _));
        Assert.Throws<ObjectDisposedException>(() => Queue.TrySendAndLease("x"u8, out _));
        Assert.Throws<ObjectDisposedException>(() => Queue.GetCounts());
        Assert.Throws<ObjectDisposedException>(() => Queue.GetDeadLetters());
        Assert.Throws<ObjectDisposedException>(() => Queue.WaitToLease(TimeSpan.Zero));
        Assert.Throws<ObjectDisposedException>(() => _ = Queue.OtherConsumers);
    }

    [Test]
    public async Task Disposing_a_handle_beside_its_calls_loses_nothing()
    {
        int sent = 0, done = 0;
        for (int i = 0; i < 100; i++)
        {
            WorkQueue handle = OpenOther();
            Task sending = Watchdog.RunOnThread(() => UntilDisposed(() =>
            {
                if (handle.TrySend("beside"u8)) Interlocked.Increment(ref sent);
            }));
            Task working = Watchdog.RunOnThread(() => UntilDisposed(() =>
            {
                if (handle.TryLease(out WorkLease lease) && lease.Complete()) Interlocked.Increment(ref done);
            }));
            Thread.SpinWait(i * 200);
            handle.Dispose();
            await Watchdog.WaitAsync(Task.WhenAll(sending, working));
        }

        while (Queue.TryLease(out WorkLease lease))
        {
            lease.Complete();
            done++;
        }

        Assert.That(done, Is.EqualTo(sent));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public async Task Many_senders_and_many_workers_do_every_message_exactly_once()
    {
        const int Senders = 4, Workers = 4;
        int each = MessagesOfEach;
        var seen = new ConcurrentDictionary<(int, int), int>();
        int left = Senders * each;
        Task[] workers = [.. Enumerable.Range(0, Workers).Select(w => Watchdog.RunOnThread(() =>
        {
            WorkQueue handle = w % 2 == 0 ? Queue : OpenOther();
            int[] last = [-1, -1, -1, -1];
            while (Volatile.Read(ref left) > 0)
            {
                if (!handle.TryLease(out WorkLease lease))
                {
                    handle.WaitToLease(TimeSpan.FromMilliseconds(20));
                    continue;
                }

                if (!Payload.TryRead(lease.Payload.Span, out int sender, out int sequence)) Assert.Fail("a torn message");
                if (lease.Attempt == 1 && sequence <= last[sender])
                    Assert.Fail($"message {sequence} of sender {sender} came after {last[sender]}");
                if (lease.Attempt == 1) last[sender] = sequence;
                if (lease.Attempt == 1 && sequence % 97 == 0)
                {
                    lease.Abandon();
                    continue;
                }

                seen.AddOrUpdate((sender, sequence), 1, (_, times) => times + 1);
                if (!lease.Complete()) Assert.Fail("a lease ended by itself");
                Interlocked.Decrement(ref left);
            }
        }))];
        Task[] senders = [.. Enumerable.Range(0, Senders).Select(s => Watchdog.RunOnThread(() =>
        {
            byte[] buffer = new byte[200];
            for (int i = 0; i < each; i++)
            {
                Span<byte> message = buffer.AsSpan(0, Payload.HeaderBytes + i % 180);
                Payload.Fill(message, s, i);
                while (!Queue.TrySend(message)) Queue.WaitToSend(TimeSpan.FromMilliseconds(20));
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll([.. senders, .. workers]), Watchdog.BulkLimit);
        Assert.That(seen, Has.Count.EqualTo(Senders * each));
        Assert.That(seen.Values, Is.All.EqualTo(1));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
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
