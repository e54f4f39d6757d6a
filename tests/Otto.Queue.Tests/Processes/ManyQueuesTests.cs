using System.Globalization;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>A program with hundreds of queues, under the limit of descriptors that processes have by default.</summary>
[Platform("Linux")]
internal sealed class ManyQueuesTests : QueueTest
{
    private const int UsualLimit = 1024;

    [Test]
    public async Task Three_hundred_queues_work_under_the_usual_limit([Values(1, 2)] int starts)
    {
        // The second start meets segments that are there: a deployment.
        for (int i = 0; i < starts; i++)
        {
            using PeerProcess program = PeerProcess.StartLimited(UsualLimit, "many", Segments, "jobs", "300");
            await program.SaysAsync("done 300");
            await program.SaysAsync("resident");
            int descriptors = int.Parse(program.Heard("descriptors"), CultureInfo.InvariantCulture);
            // One for a queue, one for its events; the rest is the runtime's.
            Assert.That(descriptors, Is.LessThan(300 * 2 + 200));
            long resident = long.Parse(program.Heard("resident").Split(' ')[0], CultureInfo.InvariantCulture);
            Assert.That(resident / 1024, Is.LessThan(150), "MiB");
            await program.StopAsync();
            Assert.That(program.Said("stopped"), Is.EqualTo(1));
        }
    }

    [Test]
    public async Task Too_many_queues_are_refused_with_the_way_out()
    {
        using PeerProcess program = PeerProcess.StartLimited(200, "many", Segments, "jobs", "300");
        await program.SaysAsync("refused");
        Assert.That(program.Heard("refused"), Does.Contain("ulimit -n"));
    }
}
