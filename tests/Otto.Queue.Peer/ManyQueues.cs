using System.Globalization;
using Otto.Queue;

// Hundreds of queues in one program: what they take of it while a task passes through each, and after.

internal static class ManyQueues
{
    /// <summary>Opens the queues, does a durable task in each, says how many descriptors and how much memory the
    /// process has, and stops when it is told to.</summary>
    public static async Task RunAsync(string directory, string name, int count)
    {
        Say("opening"); // The console opens files of its own; later there may be no descriptor for them.
        int done = 0;
        TaskQueueOptions options = new TaskQueueOptions().UseSharedMemory(s => s.Directory = directory);
        for (int i = 0; i < count; i++)
        {
            options.AddHandler<byte[]>($"{name}.{i}", (_, _, _) =>
            {
                Interlocked.Increment(ref done);
                return default;
            });
        }

        await using TaskQueue tasks = new(options);
        try
        {
            await tasks.StartAsync();
        }
        catch (IOException e)
        {
            Say($"refused {e.Message.ReplaceLineEndings(" ")}");
            return;
        }

        EnqueueOptions durable = new() { Durability = Durability.Process };
        for (int i = 0; i < count; i++) await tasks.EnqueueNamedAsync($"{name}.{i}", new byte[1], durable);
        await tasks.DrainAsync();
        Say($"done {done}");
        Say($"descriptors {Directory.GetFileSystemEntries("/proc/self/fd").Length}");
        Say($"resident {Resident()} KiB");
        Console.ReadLine();
        await tasks.StopAsync();
        Say("stopped");
    }

    private static long Resident() => long.Parse(
        File.ReadLines("/proc/self/status").First(static l => l.StartsWith("VmRSS:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }
}
