namespace Otto.Queue;

// The ids of one TaskQueue's tasks: its random half, and a count.

internal sealed class TaskIdSource
{
    private ulong _number;

    internal ulong Producer { get; } = TaskId.NewProducer();

    /// <summary>The low half of the next id.</summary>
    internal ulong NextNumber() => Interlocked.Increment(ref _number);

    internal TaskId At(ulong number) => new(Producer, number);
}
