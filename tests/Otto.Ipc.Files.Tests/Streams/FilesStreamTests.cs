using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Streams;

// The stream suites over log files: told by the kernel, and by looking.

[Parallelizable]
public sealed class FilesStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WatchMode.Notify);
}

[Parallelizable]
public sealed class PolledFilesStreamTests : StreamConformance
{
    // A wait that looks ends at its next look, a millisecond later.
    protected override int Cancellations => 300;

    protected override int MessagesInARow => 20_000;

    protected override IStreamHarness CreateHarness() => new StreamHarness(WatchMode.Poll);
}

[Parallelizable]
public sealed class FilesStreamSenderTests : StreamSendersConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(WatchMode.Notify);
}

internal sealed class StreamHarness(WatchMode watching) : IStreamHarness
{
    private readonly TestWorkspace _workspace =
        new(new FilesTransportOptions { Watching = watching, PollInterval = TimeSpan.FromMilliseconds(1) });
    // Small, so that the log is cut into pieces all the time.
    private readonly FilesStreamOptions _options = new() { Capacity = 16 * 1024, MaxMessageBytes = 4000, MaxSenders = 4 };

    public MessageSender OpenSender() => _workspace.Transport.OpenSender("frames", _options);

    public MessageReceiver OpenReceiver() => _workspace.Transport.OpenReceiver("frames", _options);

    public void Dispose() => _workspace.Dispose();
}
