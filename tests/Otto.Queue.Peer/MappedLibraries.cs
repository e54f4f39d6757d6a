using Otto.Ipc;
using Otto.Ipc.Files;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Regions;
using Otto.Queue;

// Whether the paths that need no OpenSSL load it, in a process that has done nothing else.

internal static class MappedLibraries
{
    internal static async Task ShowAsync(string place, string name)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskQueueOptions options = new();
        if (place.StartsWith("redis:", StringComparison.Ordinal))
            options.UseSharedMemory(static s => s.Enabled = false).UseRedis(place[6..]);
        else
            options.UseSharedMemory(s => s.Directory = place);
        options.UseInProcess(static o => o.Enabled = false).AddHandler<byte[]>(name, (_, _, _) =>
        {
            done.TrySetResult();
            return default;
        });
        await using (TaskQueue queue = new(options))
        {
            await queue.StartAsync();
            await queue.EnqueueAsync(new byte[] { 1 }, new() { UniqueKey = "one" });
            await done.Task;
        }

        if (Directory.Exists(place)) UseTransports(place, name);
        if (Environment.GetEnvironmentVariable("OTTO_PEER_LOADS_OPENSSL") == "1")
            System.Security.Cryptography.RandomNumberGenerator.GetBytes(1);
        foreach (string file in File.ReadLines("/proc/self/maps").Select(static l => l[(l.LastIndexOf(' ') + 1)..])
            .Where(IsOfOpenSsl).Distinct())
            Console.Out.WriteLine($"mapped {file}");
        Console.Out.WriteLine("looked");
    }

    private static bool IsOfOpenSsl(string file)
        => Path.GetFileName(file) is { } name
           && ((string[])["libssl", "libcrypto", "libSystem.Security.Cryptography.Native"])
               .Any(n => name.StartsWith(n, StringComparison.Ordinal));

    private static void UseTransports(string directory, string name)
    {
        MmapTransport shared = new(new MmapTransportOptions { Directory = directory });
        MmapStreamOptions stream = new() { Capacity = 4096, MaxSenders = 1, MaxLoanBytes = 100_000 };
        using (MessageSender sender = shared.OpenSender(name, stream))
        using (MessageReceiver receiver = shared.OpenReceiver(name, stream))
        {
            if (!sender.TryLoan(100_000, out Loan loan)) throw new InvalidOperationException("no block");
            loan.Dispose();
        }

        JsonRegion.OpenOrCreate(new RegionLocation(name) { FilePath = Path.Combine(directory, "region") }).Set("step", 1);
        FilesTransport files = new(new FilesTransportOptions { Directory = Path.Combine(directory, "files") });
        using (WorkQueue queue = files.OpenQueue(name))
        {
            if (!queue.TrySend([1, 2, 3]) || !queue.TryLease(out WorkLease lease)) throw new InvalidOperationException("no message");
            lease.Complete();
        }

        Directory.Delete(Path.Combine(directory, "files"), recursive: true);
        File.Delete(Path.Combine(directory, "region"));
        shared.RemoveStream(name);
    }
}
