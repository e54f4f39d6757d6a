using System.Collections.Concurrent;
using System.Diagnostics;

namespace Otto.Queue.Conformance;

// A wall clock that is set to another year: delays, back-offs and timeouts go by a clock that nobody sets.

public abstract partial class TaskConformance
{
    [Test]
    public async Task A_wall_clock_that_jumps_moves_no_delay_no_retry_and_no_timeout([Values(365, -365)] int days)
    {
        TimeSpan delay = TimeSpan.FromMilliseconds(300);
        JumpingClock clock = new();
        ConcurrentQueue<(int Number, int Attempt, long At)> attempts = new();
        TaskQueue worker = Keep(new TaskQueue(Timed(clock).AddHandler<Job>(Name, async (job, context, cancellationToken) =>
        {
            attempts.Enqueue((job.Number, context.Attempt, Stopwatch.GetTimestamp()));
            if (job.Number == 2 && context.Attempt == 1) throw new IOException("once more, later");
            if (job.Number == 3 && context.Attempt == 1) await Task.Delay(Timeout.Infinite, cancellationToken);
        }, h => { h.Concurrency = 4; h.FirstDelay = h.MaxDelay = delay; h.Jitter = 0; h.Timeout = TimeSpan.FromMinutes(5); })));
        await worker.StartAsync();
        TaskQueue producer = Harness.JoinsProcesses ? Keep(new TaskQueue(Timed(clock).AddProducer<Job>(Name))) : worker;

        long start = Stopwatch.GetTimestamp();
        await producer.EnqueueAsync(new Job(1), new() { Delay = delay });
        await producer.EnqueueAsync(new Job(2));
        TaskReceipt hanging = await producer.EnqueueAsync(new Job(3));
        await Until(() => attempts.Any(static a => a.Number == 2) && attempts.Any(static a => a.Number == 3), "the first attempts");
        clock.Jump(TimeSpan.FromDays(days));
        long later = Stopwatch.GetTimestamp();
        await producer.EnqueueAsync(new Job(4), new() { Delay = delay });

        await Until(() => attempts.Count(static a => a is { Number: 1 or 4 } or { Number: 2, Attempt: 2 }) == 3,
            "what was put off, in spite of the jump");
        Assert.That(Elapsed(1, 1, start), Is.GreaterThanOrEqualTo(delay));
        Assert.That(Elapsed(4, 1, later), Is.GreaterThanOrEqualTo(delay));
        Assert.That(attempts.Count(static a => a.Number == 3), Is.EqualTo(1), "its five minutes have not passed");
        Assert.That(await producer.CancelAsync(hanging), Is.EqualTo(CancelOutcome.Requested));

        TimeSpan Elapsed(int number, int attempt, long from) =>
            Stopwatch.GetElapsedTime(from, attempts.Single(a => a.Number == number && a.Attempt == attempt).At);
    }

    private TaskQueueOptions Timed(TimeProvider clock)
    {
        TaskQueueOptions options = Harness.MakeOptions();
        options.TimeProvider = clock;
        return options;
    }

    private sealed class JumpingClock : TimeProvider
    {
        private long _ticks;

        public void Jump(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _ticks));
    }
}
