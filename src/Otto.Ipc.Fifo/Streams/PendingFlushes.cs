using System.Diagnostics;

namespace Otto.Ipc.Fifo.Streams;

// Senders that were disposed with something still to write. The poller writes it; a process that exits waits for them here.

internal static class PendingFlushes
{
    private static readonly object Gate = new(); // a monitor: it is waited on
    private static readonly Dictionary<SenderPipe, Timer> Pipes = [];
    private static long _deadline;
    private static bool _hooked;

    public static void Add(SenderPipe pipe, TimeSpan limit)
    {
        lock (Gate)
        {
            if (!_hooked) AppDomain.CurrentDomain.ProcessExit += static (_, _) => AwaitAll();
            _hooked = true;
            _deadline = Math.Max(_deadline, Stopwatch.GetTimestamp() + (long)(limit.TotalSeconds * Stopwatch.Frequency));
            Pipes.Add(pipe, new Timer(static pipe => ((SenderPipe)pipe!).Abandon(), pipe, limit, Timeout.InfiniteTimeSpan));
        }
    }

    public static void Remove(SenderPipe pipe)
    {
        lock (Gate)
        {
            if (!Pipes.Remove(pipe, out Timer? timer)) return;
            timer.Dispose();
            Monitor.PulseAll(Gate);
        }
    }

    private static void AwaitAll()
    {
        lock (Gate)
        {
            while (Pipes.Count > 0)
            {
                TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), _deadline);
                if (left <= TimeSpan.Zero || !Monitor.Wait(Gate, left)) return;
            }
        }
    }
}
