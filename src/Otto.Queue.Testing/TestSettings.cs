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
        Route.Options = options;
        options.AddedRoutes.Clear();
        options.AddedRoutes.Add(Route);
        options.InProcess.Enabled = options.SharedMemory.Enabled = false;
        options.IgnorePinnedRoutes = true;
        options.TimeProvider = Route.Clock;
        options.Filters.Insert(0, _ => Recorder);
        SameObjectSerializer? same = _roundTrip ? null : new();
        foreach (HandlerOptions task in options.Tasks.Values)
        {
            task.Concurrency = 1;
            task.Jitter = 0;
            if (same is not null) task.Serializer = same;
        }
    }
}
