using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.InProcess;

/// <summary>The ring: bounded exactly, nothing lost or doubled, and shut between any two enqueues.</summary>
internal sealed class TaskRingTests
{
    private static QueuedTask Numbered(ulong number) => new() { Number = number, Task = "task" };

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(8)]
    [TestCase(1000)]
    public void It_holds_exactly_its_capacity(int capacity)
    {
        TaskRing ring = new(capacity);
        for (ulong lap = 0; lap < 3; lap++)
        {
            for (int i = 0; i < capacity; i++) Assert.That(ring.TryEnqueue(Numbered((ulong)i)), Is.True);
            Assert.That((ring.TryEnqueue(Numbered(0)), ring.Count), Is.EqualTo((false, capacity)));
            for (int i = 0; i < capacity; i++)
            {
                Assert.That(ring.TryDequeue(out QueuedTask task), Is.True);
                Assert.That(task.Number, Is.EqualTo((ulong)i));
            }

            Assert.That((ring.TryDequeue(out _), ring.HasReady), Is.EqualTo((false, false)));
        }
    }

    [TestCase(5)]
    [TestCase(64)]
    public void Several_producers_and_workers_lose_and_double_nothing(int capacity)
    {
        const int EachProducer = 200_000, Producers = 2, Workers = 2;
        TaskRing ring = new(capacity);
        int[] seen = new int[EachProducer * Producers];
        int left = seen.Length;
        Thread[] threads =
        [
            .. Enumerable.Range(0, Producers).Select(p => new Thread(() =>
            {
                for (int i = 0; i < EachProducer; i++)
                    while (!ring.TryEnqueue(Numbered((ulong)((p * EachProducer) + i)))) Thread.Yield();
            })),
            .. Enumerable.Range(0, Workers).Select(_ => new Thread(() =>
            {
                while (Volatile.Read(ref left) > 0)
                {
                    if (!ring.TryDequeue(out QueuedTask task))
                    {
                        Thread.Yield();
                        continue;
                    }

                    Interlocked.Increment(ref seen[task.Number]);
                    Interlocked.Decrement(ref left);
                }
            })),
        ];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) Assert.That(thread.Join(Eventually.Watchdog), Is.True);

        Assert.That(seen, Has.All.EqualTo(1));
    }

    [Test]
    public void What_was_accepted_before_the_seal_comes_out_and_nothing_is_accepted_after()
    {
        for (int round = 0; round < 200; round++)
        {
            TaskRing ring = new(1 << 12);
            int accepted = 0;
            using Barrier start = new(3);
            Thread[] producers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
            {
                start.SignalAndWait();
                while (ring.TryEnqueue(Numbered(1))) Interlocked.Increment(ref accepted);
            }))];
            foreach (Thread producer in producers) producer.Start();
            start.SignalAndWait();
            Thread.SpinWait(round * 20);
            ring.Seal();
            int taken = 0;
            while (ring.TryDequeueSealed(out _)) taken++;
            foreach (Thread producer in producers) producer.Join();

            Assert.That((taken, ring.TryEnqueue(Numbered(1)), ring.TryDequeue(out _)), Is.EqualTo((accepted, false, false)));
        }
    }

    [Test]
    public void A_taken_task_is_not_kept_alive_by_the_ring()
    {
        TaskRing ring = new(4);
        WeakReference task = Enqueue(ring);
        Dequeue(ring);
        GC.Collect();
        Assert.That(task.IsAlive, Is.False);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static WeakReference Enqueue(TaskRing ring)
        {
            object task = new();
            ring.TryEnqueue(new QueuedTask { Task = task });
            return new WeakReference(task);
        }

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Dequeue(TaskRing ring) => ring.TryDequeue(out _);
    }
}
