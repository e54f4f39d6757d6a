using System.Buffers.Binary;
using System.Diagnostics;

namespace Otto.Ipc.Benchmarks.Tasks;

// The no-op handler: looks at the clock and the payload, counts, and says so when a run is through.

internal sealed class TaskSink(int tasks, Action<long> through)
{
    private readonly int _tasks = tasks;
    private int _left = tasks;

    /// <summary>Takes a raw task, whose first eight bytes say when it was sent.</summary>
    public ValueTask Take(ReadOnlySpan<byte> task) => Take(BinaryPrimitives.ReadInt64LittleEndian(task), task);

    public ValueTask Take(long sentAt, ReadOnlySpan<byte> payload)
    {
        if (payload.Length != TaskPlan.Bytes || payload[^1] != 1) throw new InvalidDataException("that is not what was sent");
        // Only a task that is measured alone looks at the clock.
        long overhead = _tasks == 1 ? Stopwatch.GetTimestamp() - sentAt : 0;
        if (--_left > 0) return default;
        _left = _tasks;
        through(overhead);
        return default;
    }
}
