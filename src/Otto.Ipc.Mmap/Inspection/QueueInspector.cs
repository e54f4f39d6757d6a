using System.Buffers.Binary;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Inspection;

// What a queue's slots are doing. Every slot is looked at, so the numbers add up even while messages move, if not to one moment.

internal static class QueueInspector
{
    // Where slots are small they are read in runs; where they are large only their headers are.
    private const int RunBytes = 1 << 18, LargeStride = 1 << 12;

    public static QueueContents Of(SegmentFileReader bytes, SegmentPlan plan)
    {
        var layout = new QueueLayout(plan);
        Span<int> states = stackalloc int[16];
        long oldestReady = 0;
        long oldestLease = 0;
        int stride = (int)layout.Stride, run = stride > LargeStride ? 1 : Math.Max(1, RunBytes / stride);
        byte[] buffer = new byte[stride > LargeStride ? QueueLayout.Payload : run * stride];
        for (int first = 0; first < layout.Slots; first += run)
        {
            int count = Math.Min(run, layout.Slots - first);
            // The last slot's payload is of no interest, and may end with the file.
            bytes.Read(layout.Slot(first), buffer.AsSpan(0, (count - 1) * stride + QueueLayout.Payload));
            long now = MachineClock.CoarseMilliseconds;
            for (int i = 0; i < count; i++)
            {
                ReadOnlySpan<byte> slot = buffer.AsSpan(i * stride, QueueLayout.Payload);
                long word = BinaryPrimitives.ReadInt64LittleEndian(slot);
                SlotState state = SlotWord.State(word);
                states[(int)state]++;
                if (state == SlotState.Filled)
                    oldestReady = Math.Max(oldestReady,
                        QueueSnapshot.ReadyAge(Time(slot, QueueLayout.SentAt), Time(slot, QueueLayout.NotBefore)));
                else if (state is SlotState.Leased or SlotState.Ending)
                    oldestLease = Math.Max(oldestLease, LeaseTime.Age(now, Time(slot, QueueLayout.LeasedAt), word));
            }
        }

        return new QueueContents(
            states[(int)SlotState.Filled], states[(int)SlotState.Delayed], states[(int)SlotState.Leased] + states[(int)SlotState.Ending],
            states[(int)SlotState.Dead], states[(int)SlotState.Cancelled], states[(int)SlotState.Released], layout.Slots, layout.SlotBytes,
            TimeSpan.FromMilliseconds(oldestReady), TimeSpan.FromMilliseconds(oldestLease),
            bytes.Long(plan.Control(0)), bytes.Long(plan.Control(1)) - layout.Slots)
        {
            Results = states[(int)SlotState.Kept] + states[(int)SlotState.Withdrawn],
            PassedOver = states[(int)SlotState.Aside],
        };
    }

    private static long Time(ReadOnlySpan<byte> slot, int field) => BinaryPrimitives.ReadInt64LittleEndian(slot[field..]);
}
