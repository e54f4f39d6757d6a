using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Streams;

// The stream suite over shared memory, asleep in the kernel and asleep by the portable part.

[Parallelizable]
public sealed class MmapStreams : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapStreams : StreamConformance
{
    // A portable wait ends only at its next look, milliseconds later.
    protected override int Cancellations => 300;

    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Portable);
}

[Parallelizable]
public sealed class MmapStreamSenders : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Auto);
}

[Parallelizable]
public sealed class PortableMmapStreamSenders : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WaitMode.Portable);
}

internal sealed class StreamHarness(WaitMode mode) : IStreamHarness
{
    private readonly TestPlace _place = new();
    private readonly MmapStreamOptions _options = new() { Capacity = 4096, WaitMode = mode };

    public MessageSender OpenSender() => _place.Transport.OpenSender("frames", _options);

    public MessageReceiver OpenReceiver() => _place.Transport.OpenReceiver("frames", _options);

    public void Dispose() => _place.Dispose();
}
