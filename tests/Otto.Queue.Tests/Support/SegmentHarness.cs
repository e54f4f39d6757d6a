using Otto.Ipc.Mmap;
using Otto.Queue.Conformance;

namespace Otto.Queue.Tests.Support;

// Shared memory in a directory of its own, for one test of the suite.

internal sealed class SegmentHarness(bool inProcess, Action<TaskQueueOptions>? configure = null) : IRouteHarness
{
    private readonly string _directory = Directory.CreateDirectory(
        $"/dev/shm/otto-queue-test-{Environment.ProcessId}-{Guid.NewGuid():n}",
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    public bool JoinsProcesses => !inProcess;

    public bool KeepsDeadLetters => true;

    public bool CountsAttemptsOfTheDead => !inProcess;

    public Durability Durability => Durability.Process;

    public TaskQueueOptions MakeOptions()
    {
        TaskQueueOptions options = new TaskQueueOptions().UseInProcess(o => o.Enabled = inProcess)
            .UseSharedMemory(s => s.Directory = _directory);
        configure?.Invoke(options);
        return options;
    }

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
