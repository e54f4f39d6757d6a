using Microsoft.Extensions.Logging;
using Otto.Ipc.Mmap;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>
/// Where the system has no shared memory, tasks run in process, and the log says once that the route is missing.
/// </summary>
internal sealed class MissingSharedMemoryTests : QueueTest
{
    private const string Disabled = "Otto.Ipc.Mmap.Disabled";

    [SetUp]
    public void TakeSharedMemoryAway() => AppContext.SetSwitch(Disabled, true);

    [TearDown]
    public void GiveSharedMemoryBack() => AppContext.SetSwitch(Disabled, false);

    [Test]
    public async Task A_queue_with_default_options_works_in_process_and_logs_it_once()
    {
        Assert.That(MmapTransport.IsSupported, Is.False);
        using var log = new Messages();
        TaskCompletionSource<string> ran = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskQueueOptions options = Options().AddHandler<Job>("jobs", (job, _, _) =>
        {
            ran.TrySetResult(job.ToString());
            return default;
        }).AddProducer<ResizePhoto>("photos");
        options.LoggerFactory = log;
        TaskQueue queue = await StartAsync(options);

        TaskReceipt receipt = await queue.EnqueueAsync(new Job(1));

        Assert.That(receipt.Route, Is.EqualTo(RouteName.InProcess));
        Assert.That(await ran.Task.WaitAsync(TimeSpan.FromSeconds(30)), Is.EqualTo(new Job(1).ToString()));
        Assert.That(log.All.Count(static m => m.Contains("Shared memory is not available", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public async Task A_durable_task_is_refused_with_what_it_lacks()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        Assert.That(async () => await queue.EnqueueAsync(new Job(1), new EnqueueOptions { Durability = Durability.Process }),
            Throws.InvalidOperationException.With.Message.Contains("asks for durability Process"));
    }

    [Test]
    public void Without_the_route_in_process_either_there_is_nothing_to_do() =>
        Assert.That(
            () => new TaskQueue(Options().UseInProcess(static o => o.Enabled = false)),
            Throws.ArgumentException.With.Message.Contains("not available here"));

    [Test]
    public void Opening_a_channel_says_what_is_needed() =>
        Assert.That(
            () => OpenSegment("jobs"),
            Throws.TypeOf<PlatformNotSupportedException>().With.Message.Contains("Linux on x64 or arm64"));

    private sealed class Messages : ILoggerFactory, ILogger
    {
        private readonly List<string> _all = [];

        public string[] All
        {
            get
            {
                lock (_all) return [.. _all];
            }
        }

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_all) _all.Add(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
