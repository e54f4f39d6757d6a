using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Hosting;

/// <summary>Options are checked once, with their numbers in the error.</summary>
internal sealed class OptionsTests : QueueTest
{
    private static ValueTask Done(Job job, TaskContext context, CancellationToken cancellationToken) => default;

    [Test]
    public void Numbers_out_of_range_are_named()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => new TaskQueue(Options().UseInProcess(o => o.Capacity = 0)),
                Throws.ArgumentException.With.Message.EqualTo("InProcess.Capacity must be 1 to 16,777,216: 0"));
            Assert.That(() => new TaskQueue(Options().UseInProcess(o => o.Weight = 0)),
                Throws.ArgumentException.With.Message.Contains("InProcess.Weight must be 1 to 10,000: 0"));
            Assert.That(() => new TaskQueue(Options().AddHandler<Job>("jobs", Done, h => h.Concurrency = 0)),
                Throws.ArgumentException.With.Message.Contains("task 'jobs': Concurrency must be 1 to 10,000: 0"));
            Assert.That(() => new TaskQueue(Options().AddHandler<Job>("jobs", Done, h => h.Timeout = TimeSpan.Zero)),
                Throws.ArgumentException.With.Message.Contains("Timeout must be 1 ms to 24 days: 00:00:00"));
            Assert.That(() => new TaskQueue(
                Options().AddHandler<Job>("jobs", Done, static h =>
                {
                    h.FirstDelay = TimeSpan.FromSeconds(2);
                    h.MaxDelay = TimeSpan.FromSeconds(1);
                })),
                Throws.ArgumentException.With.Message.Contains("FirstDelay must be 0 to MaxDelay (00:00:01): 00:00:02"));
            Assert.That(() => new TaskQueue(
                Options().AddHandler<Job>("jobs", Done, h => { h.FirstDelay = h.MaxDelay = TimeSpan.Zero; h.Jitter = 2; })),
                Throws.ArgumentException.With.Message.Contains("Jitter must be 0 to 1: 2"));
            Assert.That(() => new TaskQueue(Options().AddHandler<Job>("jobs", Done, h => h.Retries = 20)),
                Throws.ArgumentException.With.Message.Contains("Retries of 20 makes 21 attempts, more than the 10"));
        });
    }

    [Test]
    public void Names_are_checked_when_they_are_given()
    {
        Assert.That(() => Options().AddHandler<Job>("../jobs", Done), Throws.ArgumentException);
        Assert.That(() => Options().AddHandler<Job>("jobs", Done, h => h.Queue = "a b"), Throws.ArgumentException);
        Assert.That(() => Options().AddHandler<Job>("jobs", Done).AddProducer<Job>("jobs"),
            Throws.ArgumentException.With.Message.StartsWith("task 'jobs' is declared twice; give one of them another name"));
    }

    [Test]
    public void Names_in_one_queue_must_agree_on_their_concurrency()
        => Assert.That(() =>
        new TaskQueue(Options().AddHandler<Job>("a", Done, h => { h.Queue = "q"; h.Concurrency = 1; }).AddHandler<Job>("b", Done,
            h => { h.Queue = "q"; h.Concurrency = 2; })),
            Throws.ArgumentException.With.Message.Contains(
                "queue 'q' holds a, b, which share its workers but ask for Concurrency 1 and 2"));

    [Test]
    public void With_every_route_off_there_is_nothing_to_do()
        => Assert.That(() => new TaskQueue(InProcessOnly().UseInProcess(static o => o.Enabled = false)),
            Throws.ArgumentException.With.Message.Contains("no route is on"));

    [Test]
    public void Options_in_use_take_no_more_changes()
    {
        TaskQueueOptions options = Options().AddHandler<Job>("jobs", Done);
        Make(options);
        Assert.That(() => options.AddProducer<ResizePhoto>("photos"), Throws.InvalidOperationException);
    }
}
