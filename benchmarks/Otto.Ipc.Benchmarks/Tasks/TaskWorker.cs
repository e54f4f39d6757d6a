using System.Buffers.Binary;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.Tasks;

// The worker's process, and what the producer hears from it: over a small queue in shared memory, whatever way the tasks take.

internal sealed class TaskWorker : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ScratchDirectory _directory = ScratchDirectory.InSharedMemory();
    private readonly MmapTransport _transport;
    private readonly WorkQueue _news;
    private readonly BenchmarkProcess _peer;

    public TaskWorker(string role, TaskPlan plan, int tasks)
    {
        _transport = new MmapTransport(new MmapTransportOptions { Directory = _directory.Path });
        _news = _transport.OpenQueue("news", new MmapQueueOptions { Slots = 64, SlotBytes = 64 });
        _peer = new BenchmarkProcess(role, _directory.Path, plan.Route, plan.Format, plan.Scope ? "scope" : "",
            tasks.ToString(CultureInfo.InvariantCulture));
        Hear(spin: false); // It is ready.
    }

    public string Directory => _directory.Path;

    /// <summary>Waits until the worker is through.</summary>
    /// <param name="spin">Stay awake: a producer that measures a waking worker's overhead
    /// should not be asleep itself.</param>
    /// <returns>What it says: the ticks from enqueue to handler start.</returns>
    public long Hear(bool spin)
    {
        WorkLease lease;
        for (int looks = 0; !_news.TryLease(out lease); looks++)
        {
            if (spin && looks < 1_000_000) Thread.SpinWait(1);
            else if (!_news.WaitToLease(Patience))
                throw new TimeoutException(
                    _peer.IsRunning ? $"the worker said nothing for {Patience.TotalSeconds} s"
                    : "the worker ended early; its message is above");
        }

        long ticks = BinaryPrimitives.ReadInt64LittleEndian(lease.Payload.Span);
        lease.Complete();
        return ticks;
    }

    /// <summary>The worker's process, until its parent closes its standard input.</summary>
    public static async Task ServeAsync(string directory, TaskPlan plan, int tasks, Func<TaskSink, Task<IAsyncDisposable>> start)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using WorkQueue news = transport.OpenQueue("news");
        byte[] message = new byte[8];
        void Tell(long ticks)
        {
            BinaryPrimitives.WriteInt64LittleEndian(message, ticks);
            if (!news.TrySend(message)) throw new InvalidOperationException("nobody hears what this worker says");
        }

        await using IAsyncDisposable worker = await start(new TaskSink(tasks, Tell));
        Tell(0);
        while (await Console.In.ReadLineAsync() is not null)
        {
        }
    }

    /// <summary>A worker that is this library's.</summary>
    public static Task ServeOttoAsync(string directory, TaskPlan plan, int tasks) => ServeAsync(directory, plan, tasks, async sink =>
    {
        var queue = new TaskQueue(plan.Handling(directory, sink));
        await queue.StartAsync();
        return queue;
    });

    public void Dispose()
    {
        _peer.CloseInput();
        _peer.Dispose();
        _news.Dispose();
        _transport.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _directory.Dispose();
    }
}
