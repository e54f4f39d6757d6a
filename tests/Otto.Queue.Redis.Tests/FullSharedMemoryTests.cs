using Otto.Ipc.Conformance;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A directory of shared memory that is full, in a queue that has Redis too.</summary>
[Parallelizable]
internal sealed class FullSharedMemoryTests : RedisTest
{
    [Test]
    public async Task Tasks_without_room_here_go_to_redis_and_stay_here_again_once_there_is_room()
    {
        using PeerProcess peer = PeerProcess.StartIn(Namespaces.SmallMemory(Segments, 8 << 20), "overflow", Segments, Name,
            Server.Configuration);
        await peer.SaysAsync("here ");
        await peer.SaysAsync("redis ");
        await peer.SaysAsync("done ");
        string[] said = [.. peer.Lines];
        await peer.StopAsync();
        int here = int.Parse(said[0].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(here, Is.InRange(2, 7), said[0]);
        Assert.That(said[2], Is.EqualTo($"done {here + 1}"));
    }

    [Test]
    public async Task A_queue_whose_segment_has_no_room_works_over_redis_alone()
    {
        using PeerProcess worker = PeerProcess.Start("work", $"redis:{Server.Configuration}", Name);
        await worker.SaysAsync("ready");
        // Less than a segment takes.
        using PeerProcess sender = PeerProcess.StartIn(Namespaces.SmallMemory(Segments, 512 << 10), "send-all", Segments, Name, "5",
            Server.Configuration);
        await sender.SaysAsync("sent 5");
        await worker.SaysAsync("done ", 5);
        await worker.StopAsync();
    }
}
