using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Queues;

// The queue suite over a directory: told by the kernel, and by looking.

[Parallelizable]
public sealed class FilesQueueTests : QueueConformance
{
    protected override int MessagesOfEach => 5_000;

    protected override IQueueHarness CreateHarness() => new QueueHarness(WatchMode.Notify);
}

[Parallelizable]
public sealed class PolledFilesQueueTests : QueueConformance
{
    // A wait that looks ends at its next look, a millisecond later.
    protected override int Cancellations => 300;

    protected override int MessagesOfEach => 1_000;

    protected override IQueueHarness CreateHarness() => new QueueHarness(WatchMode.Poll);
}

internal sealed class QueueHarness(WatchMode watching) : IQueueHarness
{
    private readonly TestWorkspace _workspace =
        new(new FilesTransportOptions { Watching = watching, PollInterval = TimeSpan.FromMilliseconds(1) });
    private readonly FilesQueueOptions _options = new() { Capacity = 16, MaxMessageBytes = 256, MaxAttempts = 5 };

    public int MaxAttempts => 5;

    public WorkQueue Open() => _workspace.Transport.OpenQueue("work", _options);

    public void Dispose() => _workspace.Dispose();
}
