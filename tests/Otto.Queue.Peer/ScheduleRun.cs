using System.Globalization;
using Otto.Queue;

// Verbs of the fault lab, in whose words a peer is told to finish: processes that set, cancel and run one schedule, and one that opens a
// queue with other options than it was made with. The segments are in OTTO_SHM_DIR.

internal static class ScheduleRun
{
    /// <summary>What the schedule's key is.</summary>
    private const string Key = "tick";

    public static Task RunAsync(string[] arguments) => arguments[0] switch
    {
        "tasks-set" => SetAsync(arguments[1], cancels: false),
        "tasks-cancel" => SetAsync(arguments[1], cancels: true),
        "tasks-tick" => TickAsync(arguments[1]),
        "tasks-open" => OpenAsync(arguments[1], int.Parse(arguments[2], CultureInfo.InvariantCulture)),
        _ => throw new ArgumentException($"no verb '{arguments[0]}'"),
    };

    // Sets the schedule, each time to the next number, and, where it is asked to, cancels it.
    private static async Task SetAsync(string queue, bool cancels)
    {
        await using TaskQueue tasks = new(new TaskQueueOptions().AddProducer<byte[]>(queue));
        await tasks.StartAsync();
        Task<string?> finish = Ready();
        for (int i = 1; !finish.IsCompleted; i++)
        {
            Say($"intent {i}");
            EnqueueOptions recurring = new() { RepeatInterval = TimeSpan.FromMilliseconds(5), UniqueKey = Key };
            TaskReceipt receipt = await tasks.EnqueueAsync(BitConverter.GetBytes(i), recurring);
            Say($"set {i} {receipt.Outcome}");
            await Task.Delay(3); // The others set it and run it too.
            if (cancels) Say($"cancelled {i} {await tasks.CancelAsync(receipt)}");
        }
    }

    private static async Task TickAsync(string queue)
    {
        await using TaskQueue tasks = new(new TaskQueueOptions().AddHandler<byte[]>(queue, async (payload, _, _) =>
        {
            Say($"tick {BitConverter.ToInt32(payload)}");
            await Task.Delay(2, CancellationToken.None);
        }, static h => h.Concurrency = 2));
        await tasks.StartAsync();
        await Ready();
        await tasks.StopAsync();
    }

    private static async Task OpenAsync(string queue, int slots)
    {
        await using TaskQueue tasks = new(new TaskQueueOptions().UseSharedMemory(s => s.Slots = slots).AddHandler<byte[]>(queue,
            static (payload, _, _) =>
            {
                Say($"done {BitConverter.ToInt32(payload)}");
                return default;
            }));
        await tasks.StartAsync();
        await Ready();
        await tasks.StopAsync();
    }

    private static Task<string?> Ready()
    {
        Say("ready");
        return Task.Run(Console.In.ReadLine);
    }

    private static void Say(string line)
    {
        lock (Console.Out)
        {
            Console.Out.WriteLine(line);
            Console.Out.Flush();
        }
    }
}
