using System.Globalization;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Peer;

// Writers of a region: one that dies or stops at a named step, one that counts, one that rewrites everything until it is killed.

internal static class RegionVerbs
{
    /// <summary>PATH KEY VALUE [kill STEP | stop STEP | skip STEP]…: sets a key, and meets
    /// its fate at the step.</summary>
    public static int Set(string[] args)
    {
        var fates = new Dictionary<RegionWriteStep, string>();
        for (int i = 3; i + 1 < args.Length; i += 2) fates[Enum.Parse<RegionWriteStep>(args[i + 1])] = args[i];
        JsonRegion region = Open(args[0]);
        RegionWriter.BeforeStep = step =>
        {
            if (!fates.TryGetValue(step, out string? fate)) return true;
            if (fate == "kill") Signals.KillSelf();
            if (fate == "stop") Signals.StopSelf();
            return fate != "skip";
        };
        region.Set(args[1], args[2]);
        return 0;
    }

    /// <summary>PATH KEY TIMES: counts the key up, one write a number, from what it holds.</summary>
    public static int Count(string[] args)
    {
        JsonRegion region = Open(args[0]);
        Begin();
        for (int i = 0; i < int.Parse(args[2], CultureInfo.InvariantCulture); i++)
            region.Update(root => root[args[1]] = (root[args[1]]?.GetValue<int>() ?? 0) + 1);
        return 0;
    }

    /// <summary>PATH BYTES: writes values of one repeated letter, of every length up to
    /// BYTES, until it is killed.</summary>
    public static int Rewrite(string[] args)
    {
        JsonRegion region = Open(args[0]);
        int most = int.Parse(args[1], CultureInfo.InvariantCulture);
        var random = new Random(Environment.ProcessId);
        Begin();
        for (int i = 0; ; i++)
        {
            string text = new((char)('a' + i % 26), random.Next(1, most));
            region.Update(root =>
            {
                root["first"] = text;
                root["length"] = text.Length;
                root["last"] = text;
            });
        }
    }

    private static JsonRegion Open(string path) => JsonRegion.Open(new RegionLocation("peer") { FilePath = path });

    private static void Begin()
    {
        Console.WriteLine("ready");
        Console.ReadLine();
    }
}
