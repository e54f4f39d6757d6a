using System.Globalization;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Peer;

internal static class SegmentVerbs
{
    /// <summary>NAME: waits for the order, opens the queue at once, says which file it got, and stays until the input ends.</summary>
    public static int Open(string[] arguments)
    {
        Talk.Say("ready");
        Console.In.ReadLine();
        using IWorkQueue queue = new MmapTransport().OpenQueue(arguments[0]);
        Talk.Say($"inode {Inode(arguments[0])}");
        Console.In.ReadLine();
        return 0;
    }

    /// <summary>NAME: removes the queue.</summary>
    public static int Remove(string[] arguments)
    {
        Talk.Say("ready");
        Talk.Say(new MmapTransport().RemoveQueue(arguments[0]) ? "removed" : "absent");
        return 0;
    }

    /// <summary>The inode of the mapping that this process has of the segment: what it talks through, whatever its name leads to now.</summary>
    private static string Inode(string name)
    {
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            if (line.Contains($"/{name}.queue", StringComparison.Ordinal))
                return ulong.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4], CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);
        }

        return "none";
    }
}
