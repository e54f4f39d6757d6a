using System.Globalization;
using Otto.Queue;

// The other process of the tests: a worker or producer that speaks one line for each thing that happened,
// so that tests wait for events and not for time.
//   work DIR QUEUE            runs tasks: writes "done NUMBER attempt A" for each
//   hang DIR QUEUE            starts one task, writes "started NUMBER attempt A", and never ends it
//   keep DIR QUEUE COUNT      enqueues COUNT durable tasks to its own hanging worker, writes "kept COUNT"
//   send DIR QUEUE COUNT      enqueues COUNT tasks and ends
// die DIR QUEUE COUNT holds COUNT tasks at a time in their first attempt: writes "started NUMBER attempt 1"
// and waits to be killed; any further attempt is done
//   slow DIR QUEUE MS         runs tasks of MS milliseconds each: writes "started NUMBER attempt A", then "done NUMBER attempt A"
//   block DIR QUEUE MS        runs 200 tasks at once that block their threads for MS milliseconds: writes "started NUMBER attempt A",
//                             "lost NUMBER" where the lease went to another worker, then "done NUMBER attempt A"
//   poison DIR QUEUE CONCURRENCY MS RETRIES  runs tasks of MS milliseconds each: writes "began NUMBER attempt A", then
//                             "done NUMBER attempt A"; task 0 kills the process instead
//   answer DIR QUEUE BYTES    runs tasks whose result is their number and BYTES more, and reports progress all the while
//   ask DIR QUEUE COUNT       enqueues COUNT tasks, writes "asked COUNT", and waits for all their results: "came N failed N"
//   flow-work DIR QUEUE       runs a task with a result, as FlowRecorder.cs describes
//   flow-send DIR QUEUE       enqueues that task and waits for its result
//   send-all DIR QUEUE COUNT REDIS  as send, over Redis too
//   overflow DIR QUEUE REDIS  sends large tasks until one goes to Redis: "here N then redis"; lets its worker run them, and sends until
//                             one stays here: "redis N then here"; then "done N"
//   many DIR QUEUE COUNT      opens COUNT queues and does a task in each, as ManyQueues.cs describes
//   tasks-... QUEUE           verbs of the fault lab, as ScheduleRun.cs describes
//   maps DIR QUEUE            does a task, and for a directory also a loan, a region and a queue of files;
//                             writes "mapped FILE" for each file of OpenSSL in its memory
// DIR is a directory of segments, or redis:CONFIGURATION for Redis alone, with leases of 1.5 s.

if (args[0] == "maps")
{
    await MappedLibraries.ShowAsync(args[1], args[2]);
    return;
}

if (args[0] == "overflow")
{
    await OverflowRun.RunAsync(args[1], args[2], args[3]);
    return;
}

if (args[0].StartsWith("tasks-", StringComparison.Ordinal))
{
    await ScheduleRun.RunAsync(args);
    return;
}

if (args[0] == "many")
{
    await ManyQueues.RunAsync(args[1], args[2], int.Parse(args[3], CultureInfo.InvariantCulture));
    return;
}

if (args[0] is "flow-work" or "flow-send")
{
    await FlowRecorder.RunAsync(args[0], args[1], args[2]);
    return;
}

if (args[0] == "ask")
{
    await AskAsync(args[1], args[2], int.Parse(args[3], CultureInfo.InvariantCulture));
    return;
}

string mode = args[0];
string queue = args[2];
int count = args.Length > 3 ? int.Parse(args[3], CultureInfo.InvariantCulture) : 0;
TaskQueueOptions options = Over(args[1]);
if (mode == "send-all") options.UseRedis(args[4]);
TaskCompletionSource never = new();

switch (mode)
{
    case "work":
        options.AddHandler<byte[]>(queue, static (task, context, _) =>
        {
            Say($"done {BitConverter.ToInt32(task)} attempt {context.Attempt}");
            return default;
        }, static h => h.Concurrency = 1);
        break;
    case "hang" or "keep":
        options.AddHandler<byte[]>(queue, async (task, context, _) =>
        {
            Say($"started {BitConverter.ToInt32(task)} attempt {context.Attempt}");
            await never.Task;
        }, static h => h.Concurrency = 1);
        break;
    case "die":
        options.AddHandler<byte[]>(queue, async (task, context, _) =>
        {
            Say($"{(context.Attempt == 1 ? "started" : "done")} {BitConverter.ToInt32(task)} attempt {context.Attempt}");
            if (context.Attempt == 1) await never.Task;
        }, h => { h.Concurrency = count; h.Retries = 8; });
        break;
    case "slow":
        options.AddHandler<byte[]>(queue, async (task, context, _) =>
        {
            Say($"started {BitConverter.ToInt32(task)} attempt {context.Attempt}");
            await Task.Delay(count, CancellationToken.None);
            Say($"done {BitConverter.ToInt32(task)} attempt {context.Attempt}");
        }, static h => h.Concurrency = 1);
        break;
    case "block":
        options.AddHandler<byte[]>(queue, (task, context, cancellationToken) =>
        {
            int number = BitConverter.ToInt32(task);
            Say($"started {number} attempt {context.Attempt}");
            using CancellationTokenRegistration lost = cancellationToken.UnsafeRegister(_ => Say($"lost {number}"), null);
            // A thread for the handler, and one for what it waits for.
            if (number % 2 == 0) Thread.Sleep(count);
            else Task.Run(() => Thread.Sleep(count), CancellationToken.None).GetAwaiter().GetResult();
            Say($"done {number} attempt {context.Attempt}");
            return default;
        }, static h => h.Concurrency = 200);
        break;
    case "poison":
        int milliseconds = int.Parse(args[4], CultureInfo.InvariantCulture), retries = int.Parse(args[5], CultureInfo.InvariantCulture);
        options.AddHandler<byte[]>(queue, async (task, context, _) =>
        {
            int number = BitConverter.ToInt32(task);
            Say($"began {number} attempt {context.Attempt}");
            if (milliseconds > 0) await Task.Delay(milliseconds, CancellationToken.None);
            if (number == 0) System.Diagnostics.Process.GetCurrentProcess().Kill();
            Say($"done {number} attempt {context.Attempt}");
        }, h => { h.Concurrency = count; h.Retries = retries; });
        break;
    case "answer":
        options.AddHandler<byte[], byte[]>(queue, (task, context, _) =>
        {
            context.ReportProgress(1, 2, "half");
            return new ValueTask<byte[]>([.. task, .. new byte[count]]);
        }, static h => h.Concurrency = 8);
        break;
    default:
        options.AddProducer<byte[]>(queue);
        break;
}

await using TaskQueue tasks = new(options);
await tasks.StartAsync();
Say("ready");
for (int i = 0; i < count && mode is not ("slow" or "block" or "die" or "poison" or "answer"); i++)
    await tasks.EnqueueAsync(BitConverter.GetBytes(i), mode == "keep" ? new() { Durability = Durability.Process } : null);
if (count > 0 && mode is not ("slow" or "block" or "die" or "poison" or "answer")) Say($"{(mode == "keep" ? "kept" : "sent")} {count}");
if (mode is "send" or "send-all") return;

// Until told to stop, gracefully, by a line or the end of input.
await Task.Run(Console.In.ReadLine);
DrainReport report = await tasks.StopAsync();
Say($"stopped completed {report.Completed} handed {report.TransferredTotal} lost {report.Lost}");

static TaskQueueOptions Over(string directory) => directory.StartsWith("redis:", StringComparison.Ordinal)
    ? new TaskQueueOptions().UseSharedMemory(static s => s.Enabled = false).UseRedis(directory[6..],
        static r => r.LeaseTime = TimeSpan.FromSeconds(1.5))
    : new TaskQueueOptions().UseSharedMemory(s => s.Directory = directory);

static async Task AskAsync(string directory, string name, int tasks)
{
    await using TaskQueue producer = new(Over(directory).AddProducer<byte[]>(name));
    IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(
        Enumerable.Range(0, tasks).Select(BitConverter.GetBytes), new EnqueueOptions { TrackResult = true });
    Say($"asked {receipts.Count} {receipts[0].Id}");
    int came = 0, failed = 0;
    await Task.WhenAll(receipts.Select(async (receipt, i) =>
    {
        try
        {
            byte[] result = await producer.WaitAsync<byte[]>(receipt);
            if (BitConverter.ToInt32(result) == i) Interlocked.Increment(ref came);
        }
        catch (Exception e) when (e is TaskFailedException or InvalidOperationException)
        {
            Interlocked.Increment(ref failed);
        }
    }));
    Say($"came {came} failed {failed}");
}

static void Say(string line)
{
    lock (Console.Out)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }
}
