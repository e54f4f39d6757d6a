using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue.Tests.Support;

// What every test here has: a directory of its own in shared memory, queues that are closed at its end, and
// a check that nothing was left open.

/// <summary>A directory of segments for one test, and a leak check at its end.</summary>
internal abstract class QueueTest
{
    private readonly List<TaskQueue> _queues = [];

    protected string Segments { get; private set; } = "";

    protected FakeTime Time { get; private set; } = new();

    [SetUp]
    public void MakeDirectory()
    {
        Time = new FakeTime();
        Segments = $"/dev/shm/otto-queue-test-{Environment.ProcessId}-{Guid.NewGuid():n}";
        Directory.CreateDirectory(Segments, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    [TearDown]
    public async Task LeaveNothingBehind()
    {
        try
        {
            foreach (TaskQueue queue in _queues) await queue.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            MmapTransport transport = new(new MmapTransportOptions { Directory = Segments });
            // A segment that somebody still has open refuses to be removed: that is the leak check. Who has
            // just let go of his last lease is about to close.
            foreach (string file in Directory.GetFiles(Segments, "*.queue"))
                await Gone(() => transport.RemoveQueue(Path.GetFileNameWithoutExtension(file)));
            foreach (string file in Directory.GetFiles(Segments, "*.topic"))
                await Gone(() => transport.RemoveTopic(Path.GetFileNameWithoutExtension(file)));
            Assert.That(Directory.GetFiles(Segments), Is.Empty);
        }
        finally
        {
            _queues.Clear();
            Directory.Delete(Segments, recursive: true);
        }
    }

    private static Task Gone(Action remove) => Eventually.Holds(() =>
    {
        try
        {
            remove();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    });

    /// <summary>Options whose segments lie in this test's directory.</summary>
    protected TaskQueueOptions Options(TimeProvider? time = null)
        => new TaskQueueOptions { TimeProvider = time ?? TimeProvider.System }.UseSharedMemory(s => s.Directory = Segments);

    /// <summary>Options for one process only.</summary>
    protected TaskQueueOptions InProcessOnly(TimeProvider? time = null) => Options(time).UseSharedMemory(static s => s.Enabled = false);

    /// <summary>A queue that is disposed at the test's end.</summary>
    protected TaskQueue Make(TaskQueueOptions options)
    {
        TaskQueue queue = new(options);
        _queues.Add(queue);
        return queue;
    }

    /// <summary>Counts what a segment holds, as another process would.</summary>
    protected WorkQueueCounts Inspect(string queue)
    {
        using WorkQueue segment = OpenSegment(queue);
        return segment.GetCounts();
    }

    /// <summary>The segment as another process would open it.</summary>
    protected WorkQueue OpenSegment(string queue, MmapQueueOptions? options = null)
        => new MmapTransport(new MmapTransportOptions { Directory = Segments }).OpenQueue(queue, options);

    protected async Task<TaskQueue> StartAsync(TaskQueueOptions options)
    {
        TaskQueue queue = Make(options);
        await queue.StartAsync();
        return queue;
    }
}
