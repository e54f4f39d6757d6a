using System.Diagnostics.CodeAnalysis;

namespace Otto.Ipc.Mmap.Segments;

// One thread a process looks around once a second: it proves deaths, has their leavings swept, and rings for local waiters whose
// signaller was stopped or killed between publishing and ringing. Everything else is woken by somebody; this is what needs nobody.

internal interface IMaintained
{
    /// <summary>Runs one round of maintenance.</summary>
    void RunMaintenance();
}

internal static class MaintenanceThread
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    [SuppressMessage("Style", "IDE0330", Justification = "Monitor.Wait needs an object")]
    private static readonly object Gate = new();
    private static readonly List<IMaintained> Kept = [];
    private static Thread? _thread;

    /// <summary>What the last round that failed threw, for a debugger and for tests.</summary>
    public static Exception? LastFailure { get; private set; }

    public static void Register(IMaintained kept)
    {
        lock (Gate)
        {
            Kept.Add(kept);
            if (_thread is null)
            {
                _thread = new Thread(Run) { IsBackground = true, Name = "otto housekeeping" };
                _thread.Start();
            }
            else if (Kept.Count == 1)
            {
                Monitor.Pulse(Gate); // with nothing to look after it sleeps for good
            }
        }
    }

    public static void Unregister(IMaintained kept)
    {
        lock (Gate) Kept.Remove(kept);
    }

    private static void Run()
    {
        var copy = new List<IMaintained>();
        while (true)
        {
            lock (Gate)
            {
                // The first look comes a period after the start: whoever opens a segment sweeps it then.
                Monitor.Wait(Gate, Kept.Count == 0 ? Timeout.InfiniteTimeSpan : Period);
                copy.AddRange(Kept);
            }

            foreach (IMaintained kept in copy)
            {
                try
                {
                    kept.RunMaintenance();
                }
#pragma warning disable CA1031 // Whatever one round throws would end the process, and with it everything that has nothing to do with it.
                catch (Exception e)
#pragma warning restore CA1031
                {
                    // A segment that cannot be looked after (hostile bytes, no descriptors left) must not take the others down with it.
                    // Its users meet the same fault on their own calls, where it is theirs to hear of. The next round tries again.
                    LastFailure = e;
                }
            }

            copy.Clear();
        }
    }
}
