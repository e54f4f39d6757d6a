using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// The store suite over files: told by the kernel, by looking, and flushed to a real disk.

[Parallelizable]
public sealed class FilesStores : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() => new(new StoreHarness(new TestPlace()));
}

[Parallelizable]
public sealed class PolledFilesStores : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() =>
        new(new StoreHarness(
            new TestPlace(new FilesTransportOptions { Watching = WatchMode.Poll, PollInterval = TimeSpan.FromMilliseconds(1) })));
}

[Parallelizable]
public sealed class FlushedFilesStores : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() =>
        new(new StoreHarness(new TestPlace(new FilesTransportOptions { Flush = FlushLevel.FileAndDirectory }, onDisk: true)));
}

internal sealed class StoreHarness(TestPlace place) : IStoreHarness
{
    public ValueTask<IKeyValueStore> OpenAsync() => ((IStoreTransport)place.Transport).OpenStoreAsync("task");

    public ValueTask<IKeyValueStore> OpenOtherAsync() => ((IStoreTransport)place.Transport).OpenStoreAsync("other");

    public ValueTask DisposeAsync()
    {
        place.Dispose();
        return default;
    }
}
