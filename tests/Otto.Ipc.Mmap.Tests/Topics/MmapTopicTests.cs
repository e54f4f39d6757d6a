using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Topics;

// The topic suite over shared memory, asleep in the kernel and asleep by the portable part.

[Parallelizable]
public sealed class MmapTopicTests : TopicConformance
{
    protected override ITopicHarness CreateHarness() => new TopicHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapTopicTests : TopicConformance
{
    // A portable wait ends only at its next look, milliseconds later.
    protected override int Cancellations => 200;

    protected override ITopicHarness CreateHarness() => new TopicHarness(WaitMode.Portable);
}

internal sealed class TopicHarness(WaitMode mode) : ITopicHarness
{
    private readonly TestWorkspace _workspace = new();
    private readonly MmapTopicOptions _options = new() { Capacity = 4096, WaitMode = mode };

    public MessagePublisher OpenPublisher() => _workspace.Transport.OpenPublisher("news", _options);

    public MessageSubscriber OpenSubscriber(StartPosition startAt) => _workspace.Transport.OpenSubscriber("news", _options, startAt);

    public void Dispose() => _workspace.Dispose();
}
