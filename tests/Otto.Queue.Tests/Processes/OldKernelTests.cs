using Otto.Ipc.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>The task queue between processes whose kernel lacks futex_waitv and membarrier.</summary>
[Parallelizable]
internal sealed class OldKernelTests : QueueTest
{
    [Test]
    public async Task A_sleeping_worker_takes_each_task_and_its_death_loses_none(
        [Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error)
    {
        using PeerProcess victim = PeerProcess.StartIn(OldKernel.WithoutAny(error), "hang", Segments, "jobs");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        await producer.EnqueueAsync(BitConverter.GetBytes(99));
        await victim.SaysAsync("started 99 attempt 1");
        using PeerProcess heir = PeerProcess.StartIn(OldKernel.WithoutAny(error), "work", Segments, "jobs");
        await heir.SaysAsync("ready");
        for (int i = 0; i < 20; i++)
        {
            await producer.EnqueueAsync(BitConverter.GetBytes(i));
            await heir.SaysAsync($"done {i} attempt 1");
        }

        victim.Kill();

        await heir.SaysAsync("done 99 attempt 2");
        await heir.StopAsync();
    }

    [Test]
    public async Task Results_come_whichever_side_is_old([Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error,
        [Values] bool oldWorker)
    {
        IReadOnlyList<string> old = OldKernel.WithoutAny(error);
        using PeerProcess worker = PeerProcess.StartIn(oldWorker ? old : [], "answer", Segments, "jobs", "100");
        await worker.SaysAsync("ready");
        using PeerProcess asker = PeerProcess.StartIn(oldWorker ? [] : old, "ask", Segments, "jobs", "500");
        await asker.SaysAsync("came 500 failed 0");
        await worker.StopAsync();
    }
}
