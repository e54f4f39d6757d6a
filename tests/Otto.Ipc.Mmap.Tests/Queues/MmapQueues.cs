using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Queues;

// The queue suite over shared memory, asleep in the kernel and asleep by the portable part.

[Parallelizable]
public sealed class MmapQueues : QueueConformance
{
    protected override IQueueHarness CreateHarness() => new QueueHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapQueues : QueueConformance
{
    // A portable wait ends only at its next look, milliseconds later.
    protected override int Cancellations => 300;

    protected override IQueueHarness CreateHarness() => new QueueHarness(WaitMode.Portable);
}

internal sealed class QueueHarness(WaitMode mode) : IQueueHarness
{
    private readonly TestPlace _place = new();
    private readonly MmapQueueOptions _options = new() { Slots = 16, SlotBytes = 256, MaxAttempts = 3, MaxParticipants = 512, WaitMode = mode };

    public int MaxAttempts => 3;

    public IWorkQueue Open() => _place.Transport.OpenQueue("jobs", _options);

    public void Dispose() => _place.Dispose();
}
