using System.Text;
using Otto.Ipc.Hosting;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// Writers of a store: one that rewrites a key until it is killed, one that sets many keys of its own.

internal static class StoreVerbs
{
    /// <summary>ADDRESS NAME KEY BYTES COUNT: sets the key to values of one repeated letter, up to
    /// BYTES long; COUNT of them, or until it is told to finish or killed where that is 0.</summary>
    public static int Rewrite(string[] arguments)
    {
        int most = int.Parse(arguments[3], InvariantCulture), count = int.Parse(arguments[4], InvariantCulture);
        IKeyValueStore store =
            OttoTransport.Open(arguments[0]).Require<IStoreTransport>().OpenStoreAsync(new ChannelName(arguments[1])).AsTask().GetAwaiter()
            .GetResult();
        PeerConsole.WriteLine("ready");
        var random = new Random(Environment.ProcessId);
        for (int i = 0; count == 0 ? !PeerConsole.IsFinishRequested : i < count; i++)
        {
            Set(store, arguments[2], "\"" + new string((char)('a' + i % 26), random.Next(1, most)) + "\"");
            if (i == 0) PeerConsole.WriteLine("first");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME PREFIX COUNT: sets COUNT keys that begin so, each to its number.</summary>
    public static int Set(string[] arguments)
    {
        IKeyValueStore store = PeerTransport.OpenStore(arguments[0]);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < int.Parse(arguments[2], InvariantCulture); i++)
        {
            string number = i.ToString(InvariantCulture);
            Set(store, arguments[1] + number, number);
            PeerConsole.WriteLine($"set {i}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static void Set(IKeyValueStore store, string key, string json) =>
        store.SetAsync(key, Encoding.UTF8.GetBytes(json)).AsTask().GetAwaiter().GetResult();
}
