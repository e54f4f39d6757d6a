using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Queues;

// The queue suite over shared memory, asleep in the kernel and asleep by the portable part.

[Parallelizable]
public sealed class MmapQueueTests : QueueConformance
{
    protected override IQueueHarness CreateHarness() => new QueueHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapQueueTests : QueueConformance
{
    // A portable wait ends only at its next look, milliseconds later.
    protected override int Cancellations => 300;

    protected override IQueueHarness CreateHarness() => new QueueHarness(WaitMode.Portable);
}

[Parallelizable]
public sealed class LoanedMmapQueueTests : QueueConformance
{
    // Most of the suite's messages do not fit into such slots, and go by loans.
    protected override IQueueHarness CreateHarness() => new QueueHarness(WaitMode.Auto, slotBytes: 24);
}

internal sealed class QueueHarness(WaitMode mode, int slotBytes = 256) : IQueueHarness
{
    private readonly TestWorkspace _workspace = new();
    private readonly MmapQueueOptions _options =
        new() { Slots = 16, SlotBytes = slotBytes, MaxLoanBytes = slotBytes == 256 ? 0 : 256, MaxAttempts = 3, MaxParticipants = 512,
            WaitMode = mode };

    public int MaxAttempts => 3;

    public WorkQueue Open() => _workspace.Transport.OpenQueue("jobs", _options);

    public void Dispose() => _workspace.Dispose();
}
