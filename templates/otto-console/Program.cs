using Otto.Queue;
await using var queue = TaskQueue.Create(options => options.AddHandler<Photo>("photos.resize",
    async (photo, context, cancellationToken) =>
        await Console.Out.WriteLineAsync($"{photo.Path}, attempt {context.Attempt}, came by {context.Route}")));
await queue.StartAsync();
TaskReceipt receipt = await queue.EnqueueAsync(new Photo("a.jpg"), new() { TrackResult = true });
await queue.WaitAsync(receipt);
Console.WriteLine($"{receipt.Route}: {receipt.Reason}");

record Photo(string Path);
