using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests.Support;

// Three masters of a real cluster on 127.0.0.1, each with its replica where that is wanted.

internal sealed class RedisCluster : IDisposable
{
    private const int Slots = 16384;

    private readonly List<RedisServer> _nodes = [];

    /// <summary>The masters, in the order of their slots.</summary>
    internal IReadOnlyList<RedisServer> Masters => _nodes[..3];

    /// <summary>The replicas, in the order of their masters.</summary>
    internal IReadOnlyList<RedisServer> Replicas => _nodes[3..];

    internal string Configuration => string.Join(',', _nodes.Select(static n => $"127.0.0.1:{n.Port}")) + $",password={_nodes[0].Password}";

    internal static async Task<RedisCluster> StartAsync(bool replicas = false)
    {
        RedisCluster cluster = new();
        try
        {
            string? password = null;
            for (int i = 0; i < (replicas ? 6 : 3); i++)
            {
                // The bus is below the ports that the system gives out, too.
                RedisServer node = await RedisServer.StartAsync(persistent: true, $"""
                    cluster-enabled yes
                    cluster-node-timeout 1500
                    cluster-port {RedisServer.FreePort()}
                    {(password is null ? "" : $"masterauth {password}")}
                    """, password);
                cluster._nodes.Add(node);
                password ??= node.Password;
                if (i > 0) continue;
                // Its password is chosen while it starts. It needs it again when it comes back as a replica.
                await node.AskAsync($"CONFIG SET masterauth {password}");
                node.Configure($"masterauth {password}");
            }

            await cluster.JoinAsync();
            return cluster;
        }
        catch
        {
            cluster.Dispose();
            throw;
        }
    }

    private async Task JoinAsync()
    {
        for (int i = 0; i < 3; i++)
            Assert.That(await _nodes[i].AskAsync($"CLUSTER ADDSLOTSRANGE {Slots * i / 3} {Slots * (i + 1) / 3 - 1}"), Is.EqualTo("+OK"));
        string bus = (await _nodes[0].AskAllAsync("CONFIG GET cluster-port")).Split("\r\n")[5];
        foreach (RedisServer node in _nodes.Skip(1)) await node.AskAsync($"CLUSTER MEET 127.0.0.1 {_nodes[0].Port} {bus}");
        await HoldsEverywhere($"cluster_known_nodes:{_nodes.Count}");
        for (int i = 3; i < _nodes.Count; i++)
        {
            string master = await IdOfAsync(_nodes[i - 3]);
            await Eventually.Holds(() => _nodes[i].AskAsync($"CLUSTER REPLICATE {master}").Result == "+OK");
        }

        await HoldsEverywhere("cluster_state:ok");
        for (int i = 3; i < _nodes.Count; i++)
        {
            RedisServer master = _nodes[i - 3];
            await Eventually.Holds(() => master.AskAllAsync("INFO replication").Result.Contains("state=online", StringComparison.Ordinal));
        }
    }

    private Task HoldsEverywhere(string state) => Eventually.Holds(() => _nodes.TrueForAll(
        n => n.AskAllAsync("CLUSTER INFO").Result.Contains(state, StringComparison.Ordinal)), state);

    internal static async Task<string> IdOfAsync(RedisServer node) => await node.AskAsync("CLUSTER MYID", answers: 2);

    /// <summary>The slot of a queue's keys.</summary>
    internal async Task<int> SlotOfAsync(string queue) => int.Parse(
        (await _nodes[0].AskAsync($"CLUSTER KEYSLOT {queue}"))[1..], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Which master has a slot.</summary>
    internal static int MasterOf(int slot) => Enumerable.Range(0, 3).Last(i => slot >= Slots * i / 3);

    public void Dispose()
    {
        foreach (RedisServer node in _nodes) node.Dispose();
    }
}
