namespace Otto.Queue.Testing;

// Turns a program's options into those of a test: one route in memory, one attempt at a time, the test's clock, no jitter.

internal sealed class TestSettings
{
    private readonly bool _roundTrip;

    internal TestSettings(bool roundTripEveryTask, TestClock clock)
    {
        _roundTrip = roundTripEveryTask;
        Route = new MemoryRoute(clock, roundTripEveryTask);
        Recorder = new AttemptRecorder(clock);
    }

    internal MemoryRoute Route { get; }

    internal AttemptRecorder Recorder { get; }

    internal void Apply(TaskQueueOptions options)
    {
        options.KeepRoutes([]);
        options.AddRoute(Route).UseInProcess(static o => o.Enabled = false).UseSharedMemory(static o => o.Enabled = false);
        options.IgnoresPins = true;
        options.TimeProvider = Route.Clock;
        options.FilterFirst(_ => Recorder);
        SameObjectSerializer? same = _roundTrip ? null : new();
        foreach (TaskDeclaration declaration in options.Declarations)
        {
            declaration.Options.Concurrency(1);
            declaration.Options.JitterPart = 0;
            if (same is not null) declaration.Options.Serializer(same);
        }
    }
}
