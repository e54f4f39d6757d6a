using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Streams;

// The stream suite over shared memory, asleep in the kernel and asleep by the portable part.

[Parallelizable]
public sealed class MmapStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapStreamTests : StreamConformance
{
    // A portable wait ends only at its next look, milliseconds later.
    protected override int Cancellations => 300;

    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Portable);
}

[Parallelizable]
public sealed class MmapStreamSenderTests : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapStreamSenderTests : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Portable);
}

internal sealed class StreamHarness(WaitMode mode) : IStreamHarness
{
    private readonly TestWorkspace _workspace = new();
    private readonly MmapStreamOptions _options = new() { Capacity = 4096, WaitMode = mode };

    public MessageSender OpenSender() => _workspace.Transport.OpenSender("frames", _options);

    public MessageReceiver OpenReceiver() => _workspace.Transport.OpenReceiver("frames", _options);

    public void Dispose() => _workspace.Dispose();
}
