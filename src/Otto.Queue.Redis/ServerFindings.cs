using System.Globalization;

namespace Otto.Queue.Redis;

// What a server's configuration and state may cost, judged by what it says of itself. INFO has nearly all of it, and servers that others
// run often refuse CONFIG.

internal static class ServerFindings
{
    private const double NearlyFull = 0.9;
    private const int LongestLagSeconds = 10;

    private static readonly Version LowestVersion = new(6, 2);

    /// <summary>Every word that a warning can have.</summary>
    internal static readonly string[] Codes =
        ["persistence", "snapshots", "eviction", "memory", "replica", "replication", "lag", "cluster", "version", "unknown"];

    /// <summary>Judges a server.</summary>
    /// <param name="server">Its address.</param>
    /// <param name="info">What <c>INFO</c> said; <see langword="null"/> if it was refused.</param>
    /// <param name="save">What <c>CONFIG GET save</c> said; <see langword="null"/> if it was refused.</param>
    /// <param name="cluster">What <c>CLUSTER INFO</c> said, of a cluster.</param>
    /// <param name="waitsForReplicas">How many replicas have a task before it counts as accepted.</param>
    internal static IEnumerable<RouteWarning> Of(string server, string? info, string? save, string? cluster, int waitsForReplicas)
    {
        if (info is null)
        {
            yield return new RouteWarning("unknown", $"{server} refuses INFO: its persistence, eviction and replication are not known")
                { IsDegrading = false };
            yield break;
        }

        Dictionary<string, string> says = Parse(info);
        if (Version.TryParse(says.GetValueOrDefault("redis_version"), out Version? version) && version < LowestVersion)
            yield return new RouteWarning("version", $"{server} is Redis {version}, and {LowestVersion} or later is needed: "
                + "tasks of dead workers are not taken over");
        foreach (RouteWarning warning in Persistence(server, says, save)) yield return warning;
        foreach (RouteWarning warning in Memory(server, says)) yield return warning;
        foreach (RouteWarning warning in Replication(server, says, waitsForReplicas)) yield return warning;
        if (cluster is not null && Parse(cluster) is { } state && state.GetValueOrDefault("cluster_state") is { } word and not "ok")
            yield return new RouteWarning("cluster", $"{server}: the state of the cluster is '{word}', with "
                + $"{state.GetValueOrDefault("cluster_slots_ok") ?? "?"} of 16384 slots served: queues in the others cannot be used; "
                + "see CLUSTER INFO");
    }

    private static IEnumerable<RouteWarning> Persistence(string server, Dictionary<string, string> says, string? save)
    {
        bool appends = says.GetValueOrDefault("aof_enabled") == "1";
        if (says.GetValueOrDefault("aof_last_write_status") is "err" || says.GetValueOrDefault("rdb_last_bgsave_status") is "err")
            yield return new RouteWarning("persistence", $"{server} could not write its data to disk the last time: "
                + "tasks that it accepted since are lost if it ends; see its log");
        if (appends || !says.ContainsKey("aof_enabled")) yield break;
        if (save is null)
            yield return new RouteWarning("unknown", $"{server} has no append-only file and refuses CONFIG, so it is not known whether it "
                + "saves at all: tasks may be lost when it restarts, whatever their durability; use appendonly yes")
                { IsDegrading = false };
        else if (save.Length == 0)
            yield return new RouteWarning("persistence", $"{server} keeps nothing on disk (appendonly no, save \"\"): all tasks are lost "
                + "when it restarts, whatever their durability; use appendonly yes");
        else
            yield return new RouteWarning("snapshots", $"{server} keeps snapshots only (appendonly no, save \"{save}\"): tasks that it "
                + "accepted since the last one are lost when it is killed, whatever their durability; use appendonly yes");
    }

    private static IEnumerable<RouteWarning> Memory(string server, Dictionary<string, string> says)
    {
        long limit = Number(says, "maxmemory"), used = Number(says, "used_memory"), machine = Number(says, "total_system_memory");
        string policy = says.GetValueOrDefault("maxmemory_policy") ?? "noeviction";
        if (policy != "noeviction")
            yield return new RouteWarning("eviction", $"{server} deletes keys when its memory is full (maxmemory-policy {policy}, "
                + string.Create(CultureInfo.InvariantCulture, $"maxmemory {limit:N0}): ")
                + $"{(policy.StartsWith("volatile", StringComparison.Ordinal) ? "results" : "whole queues")} may vanish; use noeviction");
        long most = limit > 0 ? limit : machine;
        if (most > 0 && used > most * NearlyFull)
            yield return new RouteWarning("memory",
                string.Create(CultureInfo.InvariantCulture, $"{server} uses {used:N0} of {most:N0} bytes of ")
                + $"{(limit > 0 ? "maxmemory" : "its machine's memory")}: it is about to refuse tasks; give it more, or work off what it "
                + "holds");
    }

    private static IEnumerable<RouteWarning> Replication(string server, Dictionary<string, string> says, int waitsForReplicas)
    {
        if (says.GetValueOrDefault("role") == "slave")
        {
            yield return new RouteWarning("replica", $"{server} is a replica of {says.GetValueOrDefault("master_host")}:"
                + $"{says.GetValueOrDefault("master_port")} and accepts no tasks; name its master, or all servers, in the configuration");
            yield break;
        }

        long replicas = Number(says, "connected_slaves");
        if (replicas < waitsForReplicas && says.GetValueOrDefault("role") == "master")
            yield return new RouteWarning("replication", $"{server} has {replicas} connected replicas, and Redis.MinReplicas asks for "
                + $"{waitsForReplicas}: enqueueing waits until they are there. A former master comes back as a replica only if its "
                + "configuration file has masterauth");
        if (replicas == 0) yield break;
        // The field is there only where min-replicas-to-write is set.
        if (waitsForReplicas == 0 && !says.ContainsKey("min_slaves_good_slaves"))
            yield return new RouteWarning("replication",
                $"{server} has {replicas} {(replicas == 1 ? "replica" : "replicas")} and accepts tasks "
                + "before any of them has them (min-replicas-to-write 0): a fail-over may lose the last ones; set Redis.MinReplicas, or "
                + "min-replicas-to-write");
        for (int i = 0; i < replicas; i++)
        {
            if (says.GetValueOrDefault($"slave{i}") is not { } replica) continue;
            Dictionary<string, string> of = Parse(replica.Replace(',', '\n').Replace('=', ':'));
            if (of.GetValueOrDefault("state") != "online" || Number(of, "lag") > LongestLagSeconds)
                yield return new RouteWarning("lag", $"{server}: the replica {of.GetValueOrDefault("ip")}:{of.GetValueOrDefault("port")} "
                    + $"is {of.GetValueOrDefault("state")} and {Number(of, "lag")} s behind: a fail-over to it would lose that");
        }
    }

    private static Dictionary<string, string> Parse(string text)
    {
        Dictionary<string, string> values = [];
        foreach (string line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and int colon) values[line[..colon]] = line[(colon + 1)..];
        return values;
    }

    private static long Number(Dictionary<string, string> says, string field)
        => long.TryParse(says.GetValueOrDefault(field), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : 0;
}
