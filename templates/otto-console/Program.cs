using Otto.Queue;
var done = new TaskCompletionSource();
await using var queue = new TaskQueue(new TaskQueueOptions().AddHandler<Photo>("photos.resize", async (photo, context, stop) => {
    await Console.Out.WriteLineAsync($"{photo.Path}, attempt {context.Attempt}, came by {context.Route}");
    done.SetResult();
}));
await queue.StartAsync();
TaskReceipt receipt = await queue.EnqueueAsync(new Photo("a.jpg"));
await done.Task; Console.WriteLine($"{receipt.Route}: {receipt.Reason}");
record Photo(string Path);
