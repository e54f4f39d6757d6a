using System.Globalization;
using Otto.Queue;

// A queue with Redis whose directory of shared memory becomes full: see the verb overflow in Program.cs.

internal static class OverflowRun
{
    private const int LargeBytes = 900_000;

    /// <summary>Fills the segment until a task goes to Redis, empties it, and sends until one stays.</summary>
    public static async Task RunAsync(string directory, string queue, string redis)
    {
        TaskCompletionSource release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int done = 0;
        TaskQueueOptions near = new TaskQueueOptions().UseInProcess(static o => o.Enabled = false)
            .UseSharedMemory(s => s.Directory = directory)
            .AddHandler<byte[]>(queue, async (_, _, _) =>
            {
                await release.Task;
                Interlocked.Increment(ref done);
            }, static h => h.Concurrency = 1);
        await using TaskQueue worker = new(near);
        await worker.StartAsync();
        TaskQueueOptions both = new TaskQueueOptions().UseInProcess(static o => o.Enabled = false)
            .UseSharedMemory(s => s.Directory = directory).UseRedis(redis).AddProducer<byte[]>(queue);
        await using TaskQueue producer = new(both);
        await producer.StartAsync();

        int here = await SendUntilAsync(producer, RouteName.Redis);
        Say(string.Create(CultureInfo.InvariantCulture, $"here {here} then redis"));
        release.SetResult();
        int there = await SendUntilAsync(producer, RouteName.SharedMemory, byte.MaxValue);
        Say(string.Create(CultureInfo.InvariantCulture, $"redis {there} then here"));
        // Redis holds its own tasks: this worker has no route to it.
        while (Volatile.Read(ref done) < here + 1) await Task.Delay(1);
        Say(string.Create(CultureInfo.InvariantCulture, $"done {done}"));
        await Task.Run(Console.In.ReadLine);
        await worker.StopAsync();
        await producer.StopAsync();
    }

    private static async Task<int> SendUntilAsync(TaskQueue producer, RouteName route, int most = 1000)
    {
        for (int sent = 0; ; sent++)
        {
            if (sent > most) throw new InvalidOperationException($"{sent} tasks, and none over {route}");
            TaskReceipt receipt = await producer.EnqueueAsync(new byte[LargeBytes]);
            if (receipt.Route == route) return sent;
            await Task.Delay(10); // As long as a route that was full is passed over.
        }
    }

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }
}
