using System.Collections.Concurrent;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Servers that lose their master or move a slot while tasks are sent and worked on.</summary>
internal sealed class FailOverTests : QueueTest
{
    private readonly string _name = $"q-{Guid.NewGuid():n}";

    [Test]
    public async Task Queues_of_a_cluster_lie_on_each_of_its_masters_and_all_work()
    {
        using RedisCluster cluster = await RedisCluster.StartAsync();
        string[] names = [.. Enumerable.Range(0, 12).Select(i => $"{_name}-{i}")];
        HashSet<int> masters = [];
        foreach (string name in names) masters.Add(RedisCluster.MasterOf(await cluster.SlotOfAsync(name)));
        Assert.That(masters, Is.EquivalentTo(new[] { 0, 1, 2 }), "the names are spread");
        TaskQueueOptions options = Over(cluster.Configuration);
        foreach (string name in names) options.AddHandler<Job, int>(name, static (job, _, _) => new(job.Number * 2));
        TaskQueue queue = await StartAsync(options);
        foreach (string name in names)
        {
            TaskReceipt receipt = await queue.EnqueueNamedAsync(name, new Job(21), new() { TrackResult = true });
            Assert.That(await queue.WaitAsync<int>(receipt).Soon(), Is.EqualTo(42), name);
        }

        Assert.That(await RedisQueues.ListAsync(cluster.Configuration), Is.SupersetOf(names));
    }

    [Test]
    public async Task A_slot_that_moves_to_another_master_under_load_loses_nothing()
    {
        using RedisCluster cluster = await RedisCluster.StartAsync();
        Load load = await BeginAsync(cluster.Configuration, 0);
        int slot = await cluster.SlotOfAsync(_name);
        RedisServer from = cluster.Masters[RedisCluster.MasterOf(slot)], to = cluster.Masters[(RedisCluster.MasterOf(slot) + 1) % 3];
        string fromId = await RedisCluster.IdOfAsync(from), toId = await RedisCluster.IdOfAsync(to);
        await load.GoesOnAsync();

        Assert.That(await to.AskAsync($"CLUSTER SETSLOT {slot} IMPORTING {fromId}"), Is.EqualTo("+OK"));
        Assert.That(await from.AskAsync($"CLUSTER SETSLOT {slot} MIGRATING {toId}"), Is.EqualTo("+OK"));
        string migrate = $"EVAL \"for _, k in ipairs(redis.call('CLUSTER', 'GETKEYSINSLOT', {slot}, 1)) do return k end return ''\" 0";
        // One key after the other: in between, its scripts find some keys here and some there.
        while (await from.AskAsync(migrate, answers: 2) is { Length: > 0 } key)
        {
            await from.AskAsync($"MIGRATE 127.0.0.1 {to.Port} {key} 0 5000 AUTH {to.Password}");
        }

        foreach (RedisServer node in cluster.Masters) await node.AskAsync($"CLUSTER SETSLOT {slot} NODE {toId}");
        await load.GoesOnAsync();
        await load.EndAsync();
        Assert.That(await to.AskAsync($"EXISTS otto:{{{_name}}}:stream"), Is.EqualTo(":1"));
    }

    [Test]
    public async Task A_killed_master_of_a_cluster_is_replaced_and_nothing_that_a_replica_had_is_lost()
    {
        using RedisCluster cluster = await RedisCluster.StartAsync(replicas: true);
        Load load = await BeginAsync(cluster.Configuration, 1);
        await load.GoesOnAsync();
        int killed = RedisCluster.MasterOf(await cluster.SlotOfAsync(_name));
        cluster.Masters[killed].Kill();
        // The other one has no replica then, and no task is accepted before it has.
        await Eventually.Holds(() => cluster.Replicas[killed].AskAllAsync("ROLE").Result.Contains("master", StringComparison.Ordinal));
        await cluster.Masters[killed].StartAgainAsync();
        await load.GoesOnAsync();
        await load.EndAsync();
    }

    [Test]
    public async Task A_master_of_a_cluster_that_hangs_is_left_when_another_has_its_place()
    {
        using RedisCluster cluster = await RedisCluster.StartAsync(replicas: true);
        // Its connections stay open, and the client itself looks neither at them nor at the cluster for a long time.
        Load load = await BeginAsync($"{cluster.Configuration},asyncTimeout=600000,configCheckSeconds=600", 0);
        await load.GoesOnAsync();
        int hung = RedisCluster.MasterOf(await cluster.SlotOfAsync(_name));
        cluster.Masters[hung].Pause();
        await Eventually.Holds(() => cluster.Replicas[hung].AskAllAsync("ROLE").Result.Contains("master", StringComparison.Ordinal));
        await load.GoesOnAsync();
        await load.StopAsync(); // What the replica did not have yet is lost with the master: nobody asked for replicas.
    }

    [Test]
    public async Task A_killed_master_under_sentinels_is_replaced_and_nothing_that_a_replica_had_is_lost()
    {
        using RedisServer master = await RedisServer.StartAsync(persistent: true);
        await master.AskAsync($"CONFIG SET masterauth {master.Password}");
        master.Configure($"masterauth {master.Password}"); // It comes back as a replica.
        using RedisServer replica = await RedisServer.StartReplicaAsync(master);
        using RedisServer one = await RedisServer.StartSentinelAsync(master), two = await RedisServer.StartSentinelAsync(master),
            three = await RedisServer.StartSentinelAsync(master);
        foreach (RedisServer sentinel in (RedisServer[])[one, two, three])
            await Eventually.Holds(() => sentinel.AskAllAsync("SENTINEL MASTER main").Result is { } said
                && said.Contains("num-other-sentinels\r\n$1\r\n2", StringComparison.Ordinal)
                && said.Contains("num-slaves\r\n$1\r\n1", StringComparison.Ordinal));
        string sentinels = $"127.0.0.1:{one.Port},127.0.0.1:{two.Port},127.0.0.1:{three.Port}";
        Load load = await BeginAsync($"{sentinels},serviceName=main,password={master.Password}", 1);
        await load.GoesOnAsync();
        master.Kill();
        // The other one has no replica then, and no task is accepted before it has.
        await Eventually.Holds(() => replica.AskAllAsync("ROLE").Result.Contains("master", StringComparison.Ordinal));
        await master.StartAgainAsync();
        await load.GoesOnAsync();
        await load.EndAsync();
    }

    private TaskQueueOptions Over(string configuration, int replicas = 0) => InProcessOnly().UseRedis(configuration, o =>
    {
        o.LeaseTime = TimeSpan.FromSeconds(1.5);
        o.MinReplicas = replicas;
    });

    private async Task<Load> BeginAsync(string configuration, int replicas)
    {
        ConcurrentDictionary<int, int> done = new();
        TaskQueue worker = await StartAsync(Over(configuration).AddHandler<Job>(_name, (job, _, _) =>
        {
            done.AddOrUpdate(job.Number, 1, static (_, times) => times + 1);
            return default;
        }, static h => { h.Concurrency = 4; h.Retries = 10; }));
        TaskQueue producer = Make(Over(configuration, replicas).AddProducer<Job>(_name));
        return new Load(producer, worker, done);
    }

    // One producer that knows what was accepted, and a worker that knows what it ran.
    private sealed class Load
    {
        private readonly TaskQueue _worker;
        private readonly ConcurrentDictionary<int, int> _done;
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _producing;
        private int _sent;

        internal Load(TaskQueue producer, TaskQueue worker, ConcurrentDictionary<int, int> done)
        {
            _worker = worker;
            _done = done;
            _producing = Task.Run(async () =>
            {
                while (!_stop.IsCancellationRequested)
                {
                    await producer.EnqueueAsync(new Job(_sent), new() { Durability = Durability.Cluster });
                    Volatile.Write(ref _sent, _sent + 1);
                }
            });
        }

        /// <summary>Waits until some more were accepted, and done.</summary>
        internal async Task GoesOnAsync()
        {
            int sent = Volatile.Read(ref _sent), ran = _done.Count;
            await Eventually.Holds(() => _producing.IsCompleted || (Volatile.Read(ref _sent) > sent + 100 && _done.Count > ran + 100));
            if (_producing.IsCompleted) await _producing;
        }

        internal async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _producing.Soon();
        }

        internal async Task EndAsync()
        {
            await StopAsync();
            await Eventually.Holds(() => _done.Count >= _sent, "each accepted task to be done");
            Assert.That(Enumerable.Range(0, _sent).Where(i => !_done.ContainsKey(i)), Is.Empty);
            await _worker.StopAsync();
            _stop.Dispose();
        }
    }
}
