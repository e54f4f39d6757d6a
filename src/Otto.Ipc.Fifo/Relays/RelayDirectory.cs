using System.Globalization;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Platform;

namespace Otto.Ipc.Fifo.Relays;

// The directory of one relay. It is locked as long as the relay lives, so that the next relay can clear away what a killed one left.

internal sealed class RelayDirectory : IDisposable
{
    private const string Prefix = "pipe-";
    private const int MostSwept = 100;
    private static int _count;
    private readonly DirectoryLock _lock;

    private RelayDirectory(string directory, DirectoryLock held)
    {
        Directory = directory;
        _lock = held;
    }

    public string Directory { get; }

    public static RelayDirectory Make(string? configured)
    {
        string parent = FifoDirectory.Ensure(configured);
        Sweep(parent);
        while (true)
        {
            string name = string.Create(CultureInfo.InvariantCulture,
                $"{Prefix}{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
            string path = FifoDirectory.Ensure(Path.Combine(parent, name));
            if (DirectoryLock.TryAcquire(path) is not { } held) continue;
            // Another relay that swept it in between has removed it, or was kept from it.
            if (held.IsStillNamed(path)) return new RelayDirectory(path, held);
            held.Dispose();
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
        _lock.Dispose();
    }

    /// <summary>Removes the directories of relays that were killed.</summary>
    private static void Sweep(string parent)
    {
        foreach (string path in System.IO.Directory.EnumerateDirectories(parent, Prefix + "*").Take(MostSwept))
        {
            using DirectoryLock? held = DirectoryLock.TryAcquire(path);
            if (held is not null) Clear(path);
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
