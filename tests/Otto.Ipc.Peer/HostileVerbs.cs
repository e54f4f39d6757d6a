using System.Diagnostics;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Transports;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// Writes wrong bytes into live segments and goes on using them. A process of its own, since what it looks for may be a crash: the test
// hears which case was under way. Each call must end, within a second, in plausible answers or in exceptions that are documented.

internal static class HostileVerbs
{
    /// <summary>For a machine that has other things to do.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(2);

    private static readonly MmapTransport Transport = new();

    /// <summary>SHAPE FIRST COUNT: runs that many cases, each told from its number alone.</summary>
    public static int Run(string[] arguments)
    {
        int first = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture), refused = 0;
        for (int i = first; i < first + count; i++)
        {
            PeerConsole.WriteLine($"case {i}");
            long start = Stopwatch.GetTimestamp();
            refused += arguments[0] switch { "stream" => Stream(i), "topic" => Topic(i), "loan" => Loans(i), _ => Queue(i) };
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(2) + Slack)
                PeerConsole.WriteLine($"slow {i} {Stopwatch.GetElapsedTime(start)}");
        }

        PeerConsole.WriteLine($"survived {count} refused {refused}");
        return 0;
    }

    private static int Stream(int number)
    {
        var random = new Random(number);
        string name = $"hostile-{number}";
        int refused = 0;
        MessageSender sender = Transport.OpenSender(name, new MmapStreamOptions { Capacity = 4096 });
        MessageReceiver receiver = Transport.OpenReceiver(name);
        for (int i = 0; i < random.Next(12); i++) sender.TrySend(new byte[random.Next(600)]);
        for (int i = 0; i < random.Next(12); i++) refused += Try(() => Read(receiver));
        Corrupt(name + ".stream", random, 16, lanes: true);
        for (int i = 0; i < 3; i++)
        {
            refused += Try(() => sender.TrySend(new byte[random.Next(1000)]));
            refused += Try(() =>
            {
                if (!sender.TryReserve(300, out WriteSlot slot)) return;
                slot.Bytes.Fill(1);
                slot.Commit(200);
            });
            refused += Try(() => Read(receiver));
            refused += Try(() => receiver.TryReceive(new byte[10], out _));
            refused += Try(() => receiver.WaitToReceive(TimeSpan.FromMilliseconds(1)));
            refused += Try(() => sender.WaitToSend(500, TimeSpan.FromMilliseconds(1)));
            refused += Try(() => Cancelled(stop => receiver.WaitToReceiveAsync(stop).AsTask()));
            refused += Try(() => _ = receiver.IsCompleted);
        }

        refused += Try(sender.Complete);
        sender.Dispose();
        receiver.Dispose();
        refused += Try(() =>
        {
            using MessageSender next = Transport.OpenSender(name);
            for (int i = 0; i < 10; i++) next.TrySend(new byte[400]);
        });
        refused += Try(() =>
        {
            using MessageReceiver next = Transport.OpenReceiver(name);
            for (int i = 0; i < 10; i++) Read(next);
        });
        refused += Try(() => Transport.RemoveStream(name));
        File.Delete(PathOf(name + ".stream"));
        return refused;
    }

    private static int Loans(int number)
    {
        var random = new Random(number);
        string name = $"hostile-{number}";
        int refused = 0;
        WorkQueue queue = Transport.OpenQueue(name,
            new MmapQueueOptions { Slots = 8, SlotBytes = 128, MaxAttempts = 2, MaxParticipants = 8, MaxLoanBytes = 1 << 16 });
        var held = new List<RetainedPayload>();
        for (int i = random.Next(1, 8); i > 0; i--) queue.TrySend(new byte[random.Next(20_000)]);
        if (queue.TryLease(out WorkLease first))
        {
            held.Add(first.Retain());
            first.Complete();
        }

        // In turns the pool, which has entries of 64 bytes at its data, and the slots, which name its blocks.
        string pool = Directory.GetFiles(Environment.GetEnvironmentVariable("OTTO_SHM_DIR")!, $"{name}.queue-*.pool").SingleOrDefault()
            ?? "";
        if (pool.Length > 0 && number % 4 != 0) Corrupt(Path.GetFileName(pool), random, 32, lanes: true);
        if (number % 4 != 1) Corrupt(name + ".queue", random, 8, lanes: false);
        for (int i = 0; i < 3; i++)
        {
            refused += Try(() => queue.TrySend(new byte[random.Next(20_000)]));
            refused += Try(() => Work(queue, random));
            refused += Try(() =>
            {
                if (!queue.TryLoan(random.Next(1, 60_000), out Loan loan)) return;
                loan.Span.Fill(1);
                if (random.Next(2) == 0 && queue.TrySend(loan, loan.Memory.Length)) return;
                loan.Dispose();
            });
            refused += Try(() =>
            {
                if (!queue.TryReserve(5000, out WriteSlot slot)) return;
                slot.Bytes.Fill(1);
                if (random.Next(2) == 0) slot.Commit(4000);
                slot.Dispose();
            });
            refused += Try(() => _ = queue.GetDeadLetters());
            refused += Try(() =>
            {
                using WorkQueue other = Transport.OpenQueue(name);
                Work(other, random);
            });
        }

        foreach (RetainedPayload hold in held)
        {
            refused += Try(() => Sum(hold.Payload.Span));
            refused += Try(hold.Dispose);
        }

        queue.Dispose();
        refused += Try(() => Transport.RemoveQueue(name));
        foreach (string left in Directory.GetFiles(Environment.GetEnvironmentVariable("OTTO_SHM_DIR")!, name + ".*")) File.Delete(left);
        return refused;
    }

    private static int Topic(int number)
    {
        var random = new Random(number);
        string name = $"hostile-{number}";
        int refused = 0;
        var options = new MmapTopicOptions { Capacity = 4096, MaxPublishers = 4, MaxSubscribers = 12,
            Policy = (SlowSubscriberPolicy)(number % 3) };
        MessagePublisher publisher = Transport.OpenPublisher(name, options);
        MessageSubscriber subscriber = Transport.OpenSubscriber(name), slow = Transport.OpenSubscriber(name);
        for (int i = random.Next(40); i > 0; i--)
        {
            publisher.TryPublish(new byte[random.Next(300)]);
            if (random.Next(2) == 0) refused += Try(() => Hear(subscriber));
        }

        Corrupt(name + ".topic", random, 16, lanes: true);
        for (int i = 0; i < 3; i++)
        {
            refused += Try(() => publisher.TryPublish(new byte[random.Next(1000)]));
            refused += Try(() =>
            {
                if (!publisher.TryReserve(300, out WriteSlot slot)) return;
                slot.Bytes.Fill(1);
                slot.Commit(200);
            });
            refused += Try(() => Hear(subscriber));
            refused += Try(() => Hear(slow));
            refused += Try(() => subscriber.WaitToReceive(TimeSpan.FromMilliseconds(1)));
            refused += Try(() => publisher.WaitToPublish(500, TimeSpan.FromMilliseconds(1)));
            refused += Try(() => Cancelled(stop => subscriber.WaitToReceiveAsync(stop).AsTask()));
            refused += Try(() => _ = subscriber.Lost);
        }

        publisher.Dispose();
        subscriber.Dispose();
        slow.Dispose();
        refused += Try(() =>
        {
            using MessagePublisher next = Transport.OpenPublisher(name);
            for (int i = 0; i < 20; i++) next.TryPublish(new byte[400]);
        });
        refused += Try(() =>
        {
            using MessageSubscriber next = Transport.OpenSubscriber(name, startAt: StartPosition.Oldest);
            for (int i = 0; i < 10; i++) Hear(next);
        });
        refused += Try(() => Transport.RemoveTopic(name));
        File.Delete(PathOf(name + ".topic"));
        return refused;
    }

    private static int Queue(int number)
    {
        var random = new Random(number);
        string name = $"hostile-{number}";
        int refused = 0;
        WorkQueue queue = Transport.OpenQueue(name,
            new MmapQueueOptions { Slots = 8, SlotBytes = 128, MaxAttempts = 2, MaxParticipants = 8 });
        var held = new List<WorkLease>();
        for (int i = 0; i < random.Next(8); i++) queue.TrySend(new byte[random.Next(128)]);
        for (int i = 0; i < random.Next(4); i++)
        {
            if (!queue.TryLease(out WorkLease lease)) break;
            if (random.Next(2) == 0) lease.DeadLetter("why not");
            else held.Add(lease);
        }

        Corrupt(name + ".queue", random, 8, lanes: false);
        for (int i = 0; i < 3; i++)
        {
            refused += Try(() => queue.TrySend(new byte[random.Next(128)]));
            refused += Try(() => _ = queue.GetCounts());
            refused += Try(() => Work(queue, random));
            refused += Try(() =>
            {
                if (!queue.TryReserve(100, out WriteSlot slot)) return;
                slot.Bytes.Fill(1);
                if (random.Next(2) == 0) slot.Commit(50);
                slot.Dispose();
            });
            refused += Try(() =>
            {
                if (queue.TrySendAndLease(new byte[20], out WorkLease lease)) lease.Complete();
            });
            refused += Try(() =>
            {
                foreach (DeadLetter letter in queue.GetDeadLetters())
                    _ = random.Next(2) == 0 ? queue.DeleteDeadLetter(letter.Id) : queue.RequeueDeadLetter(letter.Id);
            });
            refused += Try(() =>
            {
                if (queue.TrySend(new byte[10], TimeSpan.FromMilliseconds(random.Next(2)), out WorkId id) && random.Next(2) == 0)
                    queue.Cancel(id);
                queue.Cancel(WorkId.FromToken(new SlotToken(random.Next(4), random.Next(8))));
                queue.CompleteBatch(new WorkLease[2]);
            });
            refused += Try(() => _ = queue.OtherConsumers);
            refused += Try(() => queue.SetConsumer(!queue.IsConsumer));
            refused += Try(() => queue.WaitToLease(TimeSpan.FromMilliseconds(1)));
            refused += Try(() => queue.WaitToSend(TimeSpan.FromMilliseconds(1)));
            refused += Try(() => Cancelled(stop => queue.WaitToLeaseAsync(stop).AsTask()));
            refused += Try(() =>
            {
                // Joins, and so sweeps.
                using WorkQueue other = Transport.OpenQueue(name);
                Work(other, random);
            });
        }

        foreach (WorkLease lease in held)
        {
            refused += Try(() => Sum(lease.Payload.Span));
            refused += Try(() => lease.Complete());
        }

        queue.Dispose();
        refused += Try(() => Transport.RemoveQueue(name));
        File.Delete(PathOf(name + ".queue"));
        return refused;
    }

    /// <summary>Overwrites some words of the file, which the mappings share, and looks at it from outside.</summary>
    private static void Corrupt(string file, Random random, int participants, bool lanes)
    {
        Overwrite(file, random, participants, lanes);
        if (new MmapInspector().Find(file).Count != 1) throw new InvalidOperationException($"{file} is not seen");
    }

    private static void Overwrite(string file, Random random, int participants, bool lanes)
    {
        using var segment = new FileStream(PathOf(file), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        long control = 0x1000 + participants * 128L, data = 0x10000, size = segment.Length;
        for (int i = random.Next(1, 9); i > 0; i--)
        {
            // Queue of 8 slots: 128 cells of either index queue, then slots of 448 bytes with their word first.
            long at = (random.Next(10), lanes) switch
            {
                (0, _) => random.Next(0x90),
                (1, _) => 0x1000 + random.Next(participants * 16) * 8L,
                (2 or 3 or 4, true) => control + random.Next(18) * 128,
                (2 or 3 or 4, false) => control + random.Next(8) * 128,
                (5 or 6, true) => data + random.Next(512) * 8L,
                (5, false) => data + random.Next(128) * 8L,
                (6, false) => data + 1024 + random.Next(128) * 8L,
                (7 or 8, false) => data + 2048 + random.Next(8) * 448 + random.Next(7) * 8,
                _ => random.NextInt64(size - 8),
            };
            byte[] word = new byte[8];
            segment.Position = at;
            segment.ReadExactly(word);
            long old = BitConverter.ToInt64(word);
            long value = random.Next(8) switch
            {
                0 => random.NextInt64(long.MinValue, long.MaxValue),
                1 => -1,
                2 => long.MaxValue,
                3 => long.MinValue,
                4 => old + random.Next(-4, 5),
                5 => old ^ (1L << random.Next(64)),
                6 => old + 8L * random.Next(-600, 600),
                _ => random.Next(),
            };
            segment.Position = at;
            segment.Write(BitConverter.GetBytes(value));
        }
    }

    private static void Hear(MessageSubscriber subscriber)
    {
        if (subscriber.TryReceive(out TopicFrame message)) Sum(message.Bytes);
    }

    private static void Read(MessageReceiver receiver)
    {
        if (!receiver.TryReceive(out ReadLease lease)) return;
        Sum(lease.Bytes);
        lease.Dispose();
    }

    private static void Work(WorkQueue queue, Random random)
    {
        if (!queue.TryLease(out WorkLease lease)) return;
        Sum(lease.Payload.Span);
        _ = random.Next(4) switch { 0 => lease.Complete(), 1 => lease.Abandon(),
            2 => lease.Abandon(countAttempt: true, TimeSpan.FromMilliseconds(1)), _ => lease.DeadLetter("hostile") };
    }

    private static void Cancelled(Func<CancellationToken, Task> wait)
    {
        using var stop = new CancellationTokenSource();
        Task waiting = wait(stop.Token);
        stop.Cancel();
        try
        {
            waiting.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static void Sum(ReadOnlySpan<byte> bytes)
    {
        int sum = 0;
        foreach (byte b in bytes) sum += b;
        GC.KeepAlive(sum);
    }

    /// <summary>One when a documented exception refused the call; anything else ends the process.</summary>
    private static int Try(Action call)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            call();
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException { ParamName: "destination" }
            || IsEndedSlot(e))
        {
            return 1;
        }
        finally
        {
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(1) + Slack)
                PeerConsole.WriteLine($"slow call {Stopwatch.GetElapsedTime(start)}");
        }
    }

    // A slot whose word somebody overwrote is no longer open: Commit says so. A stream that says it is in use had a call that ended badly.
    private static bool IsEndedSlot(Exception e) =>
        e is InvalidOperationException and not ObjectDisposedException && e.Message.StartsWith("this slot", StringComparison.Ordinal);

    private static string PathOf(string file) => Path.Combine(Environment.GetEnvironmentVariable("OTTO_SHM_DIR")!, file);
}
