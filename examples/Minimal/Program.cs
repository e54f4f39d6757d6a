using Otto.Queue;

// A queue in a console program: no host, no server. Tasks run in this process while it has room; segments
// in shared memory take what it has not.

int tries = 0;
await using var queue = TaskQueue.Create(options => options
    .AddHandler<CountWords, int>("words.count",
        static (task, _, _) => new(task.Text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length))
    .AddHandler<SendMail>("mail.send", (task, context, _) =>
    {
        // The first attempt fails; the next comes by itself.
        if (Interlocked.Increment(ref tries) == 1) throw new IOException("the mail server is busy");
        Console.WriteLine($"mail to {task.To} sent on attempt {context.Attempt}");
        return default;
    }, static h => { h.Retries = 3; h.FirstDelay = TimeSpan.FromMilliseconds(10); }));
await queue.StartAsync();

TaskReceipt counting = await queue.EnqueueAsync(new CountWords("the same object when the worker lives here"), new() { TrackResult = true });
Console.WriteLine($"{counting.Route}: {counting.Reason}");
Console.WriteLine($"{await queue.WaitAsync<int>(counting)} words");

await queue.EnqueueAsync(new SendMail("ada@example.org"));
await queue.DrainAsync();

DrainReport report = await queue.StopAsync();
Console.WriteLine($"stopped with {report.Lost} tasks lost");

internal sealed record CountWords(string Text);

internal sealed record SendMail(string To);
