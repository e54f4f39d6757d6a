using Otto.Queue.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Conformance;

// The suite over the two routes that need no server.

[Parallelizable]
public sealed class InProcessTaskTests : TaskConformance
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

/// <summary>Producer and worker in one process, with a segment beneath: what a task asks
/// for decides whether it is written there.</summary>
[Parallelizable]
public sealed class InProcessOverSharedMemoryTaskTests : TaskConformance
{
    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: true));
}

[Parallelizable]
public sealed class SharedMemoryTaskTests : TaskConformance
{
    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: false));
}
