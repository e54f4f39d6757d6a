using Otto.Ipc.Mmap;

namespace Otto.Ipc.Peer;

internal static class SegmentVerbs
{
    /// <summary>NAME: waits for the order, opens the queue at once, says which file it got,
    /// and stays until it is told to finish.</summary>
    public static int Open(string[] arguments)
    {
        PeerConsole.WriteLine("ready");
        PeerConsole.WaitForFinish();
        using WorkQueue queue = new MmapTransport().OpenQueue(arguments[0]);
        PeerConsole.WriteLine($"inode {Inode()}");
        PeerConsole.WaitForSecondLine();
        return 0;
    }

    /// <summary>NAME: makes a queue of eight slots, and stays until it is told to finish.</summary>
    public static int Create(string[] arguments)
    {
        using WorkQueue queue =
            new MmapTransport().OpenQueue(arguments[0],
                new MmapQueueOptions { Slots = 8, SlotBytes = 256, MaxAttempts = 10, MaxParticipants = 16 });
        PeerConsole.WriteLine("ready");
        PeerConsole.WaitForFinish();
        return 0;
    }

    /// <summary>NAME: removes the queue.</summary>
    public static int Remove(string[] arguments)
    {
        PeerConsole.WriteLine("ready");
        PeerConsole.WriteLine(new MmapTransport().RemoveQueue(arguments[0]) ? "removed" : "absent");
        return 0;
    }

    /// <summary>The inode of the mapping that this process has: what it talks through,
    /// whatever the name leads to now.</summary>
    private static string Inode()
    {
        // The creator's mapping has no name of its own: the file got one only afterwards.
        string directory = Environment.GetEnvironmentVariable("OTTO_SHM_DIR")! + "/";
        string line = File.ReadLines("/proc/self/maps").Single(line => line.Contains(directory, StringComparison.Ordinal));
        return line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4];
    }
}
