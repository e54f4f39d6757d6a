using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// The store suite over files: told by the kernel, by looking, and flushed to a real disk.

[Parallelizable]
public sealed class FilesStoreTests : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() => new(new StoreHarness(new TestWorkspace()));
}

[Parallelizable]
public sealed class PolledFilesStoreTests : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() =>
        new(new StoreHarness(
            new TestWorkspace(new FilesTransportOptions { Watching = WatchMode.Poll, PollInterval = TimeSpan.FromMilliseconds(1) })));
}

[Parallelizable]
public sealed class FlushedFilesStoreTests : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() =>
        new(new StoreHarness(new TestWorkspace(new FilesTransportOptions { Flush = FlushLevel.FileAndDirectory }, onDisk: true)));
}

internal sealed class StoreHarness(TestWorkspace workspace) : IStoreHarness
{
    public ValueTask<IKeyValueStore> OpenAsync() => ((IStoreTransport)workspace.Transport).OpenStoreAsync("task");

    public ValueTask<IKeyValueStore> OpenOtherAsync() => ((IStoreTransport)workspace.Transport).OpenStoreAsync("other");

    public ValueTask DisposeAsync()
    {
        workspace.Dispose();
        return default;
    }
}
