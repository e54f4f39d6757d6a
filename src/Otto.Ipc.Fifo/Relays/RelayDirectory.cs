using System.Globalization;
using System.Runtime.InteropServices;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Relays;

// The directory of one relay. It is locked as long as the relay lives, so that the next relay can clear away what a killed one left.

internal sealed class RelayDirectory : IDisposable
{
    private const string Prefix = "pipe-";
    private const int MostSwept = 100;
    private static int _count;
    private readonly int _lock;

    private RelayDirectory(string directory, int descriptor)
    {
        Directory = directory;
        _lock = descriptor;
    }

    public string Directory { get; }

    public static RelayDirectory Make(string? configured)
    {
        string parent = FifoDirectory.Ensure(configured);
        Sweep(parent);
        while (true)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
            string path = FifoDirectory.Ensure(Path.Combine(parent, name));
            int descriptor = TryLock(path);
            if (descriptor < 0) continue;
            // Whoever swept it in between has removed it, or was kept from it.
            if (Libc.Status(path) is { } status && status.Inode == Libc.Status(descriptor).Inode) return new RelayDirectory(path, descriptor);
            _ = Libc.Close(descriptor);
        }
    }

    /// <summary>Makes a FIFO here.</summary>
    public string MakeFifo(string name)
    {
        string path = Path.Combine(Directory, name);
        FifoFile.Ensure(path);
        return path;
    }

    public void Dispose()
    {
        Clear(Directory);
        _ = Libc.Close(_lock);
    }

    private static int TryLock(string path)
    {
        int descriptor = Libc.Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (descriptor < 0 || Libc.Flock(descriptor, Libc.LOCK_EX | Libc.LOCK_NB) == 0) return descriptor;
        _ = Libc.Close(descriptor);
        return -1;
    }

    /// <summary>Removes the directories of relays that were killed.</summary>
    private static void Sweep(string parent)
    {
        foreach (string path in System.IO.Directory.EnumerateDirectories(parent, Prefix + "*").Take(MostSwept))
        {
            int descriptor = TryLock(path);
            if (descriptor < 0) continue;
            Clear(path);
            _ = Libc.Close(descriptor);
        }
    }

    private static void Clear(string directory)
    {
        try
        {
            foreach (string path in System.IO.Directory.EnumerateFiles(directory)) FifoFile.Remove(path);
            System.IO.Directory.Delete(directory);
        }
        catch (IOException)
        {
            // Somebody put a directory of his own there, or cleared it first.
        }
    }
}
