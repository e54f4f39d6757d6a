using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Otto.Queue.Conformance;

// Two versions of a program on one queue.

public abstract partial class TaskConformance
{
    /// <summary>For tasks that a suite of one serializer does not know.</summary>
    private static readonly JsonTaskSerializer Json =
        new(new JsonSerializerOptions { TypeInfoResolver = new DefaultJsonTypeInfoResolver() });

    /// <summary>What an older version takes a <see cref="Job"/> for.</summary>
    public sealed record OlderJob(Guid Number);

    [Test]
    public async Task A_payload_that_one_worker_cannot_read_is_done_by_another_that_can()
    {
        Assume.That(Harness.JoinsProcesses, Is.True, "in process there is one version");
        ConcurrentQueue<int> attempts = new();
        TaskQueue older = Keep(new TaskQueue(Harness.MakeOptions().AddHandler<OlderJob>(Name, static (_, _, _) => default,
            static h => h.Serializer = Json)));
        await older.StartAsync();
        TaskQueue producer = MakeProducer();
        for (int i = 0; i < 20; i++) await producer.EnqueueAsync(new Job(i));
        await Task.Delay(100); // The older worker meets them first.
        Tally done = new();
        await StartWorkerAsync((job, context, _) =>
        {
            attempts.Enqueue(context.Attempt);
            done.Add(job.Number);
            return default;
        });
        await done.Reaches(20);
        Assert.That(done.Seen.Order(), Is.EqualTo(Enumerable.Range(0, 20)));
        Assert.That(attempts, Is.All.EqualTo(1));
        Assert.That(await producer.DeadLetters.ListAsync(), Is.Empty);
    }
}
