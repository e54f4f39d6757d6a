using Otto.Ipc.Mmap;
using Otto.Queue.Conformance;

namespace Otto.Queue.Tests.Conformance;

// The suite over the two routes that need no server.

[Parallelizable]
public sealed class InProcessTasks : TaskConformance
{
    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new InProcessHarness());

    private sealed class InProcessHarness : IRouteHarness
    {
        public bool JoinsProcesses => false;

        public bool KeepsDeadLetters => false;

        public bool CountsAttemptsOfTheDead => false;

        public Durability Durability => Durability.None;

        public TaskQueueOptions MakeOptions() => new TaskQueueOptions().UseSharedMemory(static s => s.Enabled = false);

        public ValueTask DisposeAsync() => default;
    }
}

/// <summary>Producer and worker in one process, with a segment beneath: what a task asks for decides whether it is written there.</summary>
[Parallelizable]
public sealed class InProcessTasksOverSharedMemory : TaskConformance
{
    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: true));
}

[Parallelizable]
public sealed class SharedMemoryTasks : TaskConformance
{
    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: false));
}

internal sealed class SegmentHarness(bool inProcess) : IRouteHarness
{
    private readonly string _directory = Directory.CreateDirectory(
        $"/dev/shm/otto-queue-test-{Environment.ProcessId}-{Guid.NewGuid():n}", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    public bool JoinsProcesses => !inProcess;

    public bool KeepsDeadLetters => true;

    public bool CountsAttemptsOfTheDead => !inProcess;

    public Durability Durability => Durability.Process;

    public TaskQueueOptions MakeOptions() => new TaskQueueOptions().UseInProcess(o => o.Enabled = inProcess).UseSharedMemory(s => s.Directory = _directory);

    public ValueTask DisposeAsync()
    {
        MmapTransport transport = new(new MmapTransportOptions { Directory = _directory });
        // A segment that somebody still has open refuses to be removed: that is the leak check.
        foreach (string file in Directory.GetFiles(_directory, "*.queue")) transport.RemoveQueue(Path.GetFileNameWithoutExtension(file));
        foreach (string file in Directory.GetFiles(_directory, "*.topic")) transport.RemoveTopic(Path.GetFileNameWithoutExtension(file));
        Assert.That(Directory.GetFiles(_directory), Is.Empty);
        Directory.Delete(_directory, recursive: true);
        return default;
    }
}
