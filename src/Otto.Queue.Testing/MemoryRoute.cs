using Otto.Ipc;

namespace Otto.Queue.Testing;

// The one route of a queue under test, and the hand that gives out one task at a time: the earliest due, then the earliest sent.

internal sealed class MemoryRoute(TestClock clock, bool roundTrip) : ITaskRoute
{
    private readonly List<MemoryChannel> _channels = [];
    private long _number;

    internal Lock Lock { get; } = new();

    internal TestClock Clock { get; } = clock;

    internal bool RoundTrip { get; } = roundTrip;

    /// <summary>The options of the queue under test.</summary>
    internal TaskQueueOptions Options { get; set; } = null!;

    public RouteName Name => RouteName.SharedMemory;

    public RouteReach Reach => RouteReach.Machine;

    public Durability Durability => Durability.Cluster;

    public int Weight => 16;

    public QueueFullMode FullMode => QueueFullMode.Reject;

    public string NoWorkerReason => "kept in memory by the test";

    public ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
    {
        MemoryChannel channel = new(this, queue.Value, [.. Options.Declarations.Where(d => d.QueueName == queue.Value).Select(
            d => d.Register(Options.SerializerOf(d)))]);
        lock (Lock) _channels.Add(channel);
        return new ValueTask<TaskChannel>(channel);
    }

    internal long NextNumber() => ++_number;

    /// <summary>What has not ended, in the order in which it would run.</summary>
    internal List<(MemoryChannel Channel, MemoryMessage Message)> Pending()
    {
        lock (Lock)
            return [.. _channels.SelectMany(static c => c.Alive.Select(m => (c, m))).OrderBy(
                p => p.m.Due > Clock.Passed ? p.m.Due : TimeSpan.Zero).ThenBy(static p => p.m.Number)];
    }

    /// <summary>Gives out the next task that may run, and waits until its attempt has ended
    /// and its worker waits again.</summary>
    /// <returns>Whether there was one.</returns>
    internal async Task<bool> RunNextAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        (MemoryChannel channel, MemoryMessage message) =
            Pending().FirstOrDefault(p => p.Message.Due <= Clock.Passed && !p.Message.Leased && p.Channel.Takes(p.Message));
        if (message is null) return false;
        try
        {
            await channel.RunAsync(message).WaitAsync(timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException(
                $"attempt {message.AttemptsBefore + message.Attempts} of task '{message.Name}' {message.Id} did not end within "
                + $"{timeout.TotalSeconds:0.###} s; does its handler wait for the clock, or for another task? Tasks run one at a time: "
                + $"move the clock, or wait for the other in the test");
        }

        return true;
    }
}
