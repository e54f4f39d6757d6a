using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// The measured loops, the same for everybody. Each runs for a time and not for a count, so that the slow and the quick take equally long;
// every message carries its number, and one that comes in another's place ends the run with an error.

internal static class MeasurementLoops
{
    private const int MostSamples = 1 << 20, FewSamples = 200, InARow = 256, MessagesBetweenClocks = 16;

    /// <summary>The percentiles that are reported, in parts of a hundred.</summary>
    public static readonly double[] Percentiles = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];

    /// <summary>Round trips: how long each took, in µs: the median of the quietest that
    /// came in a row, and the percentiles of all.</summary>
    public static string Call(Outlet outlet, Inlet inlet, TimeSpan window, bool awake, int bytes)
    {
        long[] samples = new long[MostSamples];
        int count = 0;
        try
        {
            // The first one finds connections that are still to be accepted, and buffers that are still to be made.
            RoundTrip(0);
            for (long start = Stopwatch.GetTimestamp(); count < MostSamples; count++)
            {
                TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
                if (elapsed > window && (count >= FewSamples || elapsed > 3 * window)) break;
                samples[count] = RoundTrip((uint)count);
            }

            RoundTrip(Message.Last);
        }
        catch (Exception e)
        {
            throw After("round trips", count, bytes, e);
        }

        long quietest = Quietest(samples.AsSpan(0, count));
        Array.Sort(samples, 0, count);
        // What lies beyond the 99th needs samples of its own.
        return string.Join(' ', Percentiles.Where(p => p <= 99 || count * (100 - p) / 100 >= 2)
            .Select(p => $"{p}:{Microseconds(samples[Math.Min((int)(count * p / 100), count - 1)])}").Prepend(Microseconds(quietest)));

        long RoundTrip(uint number)
        {
            long before = Stopwatch.GetTimestamp();
            Message.SetNumber(outlet.Prepare(bytes), number);
            outlet.Send(bytes);
            uint answer = Message.NumberOf(inlet.Receive(awake));
            long after = Stopwatch.GetTimestamp();
            if (answer != number) throw new InvalidDataException($"{number:N0} came back as {answer:N0}");
            return after - before;
        }
    }

    // Whatever else the machine does only ever adds time, and it does not do it all the time.
    private static long Quietest(ReadOnlySpan<long> samples)
    {
        long best = long.MaxValue;
        for (int start = 0; start == 0 || start + InARow <= samples.Length; start += InARow)
        {
            long[] row = samples.Slice(start, Math.Min(InARow, samples.Length - start)).ToArray();
            Array.Sort(row);
            best = Math.Min(best, row[row.Length / 2]);
        }

        return best;
    }

    private static string Microseconds(long ticks) => (ticks * 1e6 / Stopwatch.Frequency).ToString("0.###", CultureInfo.InvariantCulture);

    /// <summary>The other side of <see cref="Call"/>.</summary>
    public static string Echo(Outlet outlet, Inlet inlet, bool awake)
    {
        int count = 0, bytes = 0;
        try
        {
            for (; ; count++)
            {
                ReadOnlySpan<byte> message = inlet.Receive(awake);
                uint number = Message.NumberOf(message);
                bytes = message.Length;
                Span<byte> copy = outlet.Prepare(bytes);
                message.CopyTo(copy);
                outlet.Send(bytes);
                if (number == Message.Last) return "";
            }
        }
        catch (Exception e)
        {
            throw After("echoes", count, bytes, e);
        }
    }

    /// <summary>A busy run: sends as fast as it goes.</summary>
    /// <returns>How many, when it began, the processor time of this process in µs, and how
    /// many bytes this thread allocated.</returns>
    public static string Pour(Outlet outlet, TimeSpan window, int bytes)
    {
        outlet.Prepare(bytes);
        var cost = Cost.Now();
        long start = Stopwatch.GetTimestamp();
        uint count = 0;
        try
        {
            do
            {
                for (int i = 0; i < MessagesBetweenClocks; i++)
                {
                    Message.SetNumber(outlet.Prepare(bytes), count);
                    outlet.Send(bytes);
                    count++;
                }
            }
            while (Stopwatch.GetElapsedTime(start) < window);

            Message.SetNumber(outlet.Prepare(bytes), Message.Last);
            outlet.Send(bytes);
            outlet.Flush();
        }
        catch (Exception e)
        {
            throw After("sent", count, bytes, e);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{count} {start} {cost.Since()}");
    }

    /// <summary>The other side of <see cref="Pour"/>: reads until the last.</summary>
    /// <returns>How many, when the last was read, the processor time, and the allocations.</returns>
    public static string Drain(Inlet inlet)
    {
        var cost = Cost.Now();
        uint count = 0;
        int bytes = 0;
        try
        {
            while (true)
            {
                ReadOnlySpan<byte> message = inlet.Receive(awake: false);
                uint number = Message.NumberOf(message);
                bytes = message.Length;
                if (number == Message.Last) break;
                if (number != count) throw new InvalidDataException($"message {count:N0} came as {number:N0}");
                count++;
            }
        }
        catch (Exception e)
        {
            throw After("read", count, bytes, e);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{count} {Stopwatch.GetTimestamp()} {cost.Since()}");
    }

    // How far it came tells which message was lost, and that one was.
    private static ProbeException After(string what, long count, int bytes, Exception e) =>
        new(string.Create(CultureInfo.InvariantCulture, $"after {count:N0} {what} of {bytes:N0} B: {ProbeException.CauseOf(e).Message}"));

    /// <summary>What a run cost this process.</summary>
    private readonly record struct Cost(TimeSpan Cpu, long Allocated)
    {
        public static Cost Now() => new(Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes());

        public string Since()
        {
            Cost now = Now();
            return string.Create(CultureInfo.InvariantCulture, $"{(now.Cpu - Cpu).TotalMicroseconds:0} {now.Allocated - Allocated}");
        }
    }
}
