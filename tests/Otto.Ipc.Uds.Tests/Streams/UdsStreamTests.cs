using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Streams;

// The stream suites over sockets.

[Parallelizable]
public sealed class UdsStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(new UdsStreamOptions());
}

[Parallelizable]
public sealed class SmallUdsStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(new UdsStreamOptions { Capacity = 64 << 10 });
}

[Parallelizable]
public sealed class UdsStreamSenderTests : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(new UdsStreamOptions());
}

internal sealed class StreamHarness : IStreamHarness
{
    private readonly TestDirectory _directory = new();
    private readonly UdsStreamOptions _options;
    private readonly UdsTransport _transport;

    public StreamHarness(UdsStreamOptions options)
    {
        _options = options;
        _transport = new UdsTransport(new UdsTransportOptions { SocketPath = _directory.SocketPath });
    }

    public MessageSender OpenSender() => _transport.OpenSender("frames", _options);

    public MessageReceiver OpenReceiver() => _transport.OpenReceiver("frames");

    public void Dispose()
    {
        _transport.DisposeAsync().AsTask().Wait();
        _directory.Dispose();
    }
}
