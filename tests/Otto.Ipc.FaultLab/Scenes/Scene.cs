using System.Diagnostics;

namespace Otto.Ipc.FaultLab.Scenes;

// What all scenes share: others that live in this process, on threads of their own, and waiting for them under a watchdog.

internal abstract class Scene(FaultCase fault, bool kill, Random random, bool mustReach) : IDisposable
{
    /// <summary>Recovery ends within two seconds; the rest is for a machine that has other things to do.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(2), Slack = TimeSpan.FromSeconds(3);

    /// <summary>Longer than a housekeeper's period: nobody may take a stopped process for dead.</summary>
    private static readonly TimeSpan LongStop = TimeSpan.FromSeconds(1.3);

    private readonly List<Thread> _threads = [];
    private volatile bool _stop;

    protected SegmentWorkspace Workspace { get; } = new();

    public Findings Findings { get; } = new();

    /// <summary>How long to wait for what a planted bug keeps from happening.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(20);

    protected FaultCase Fault => fault;

    protected bool Kill => kill;

    protected bool MustReach => mustReach;

    protected Random Random => random;

    protected bool Stopping => _stop;

    /// <summary>Plays the scene, and ends the threads that it began.</summary>
    public Findings Run()
    {
        try
        {
            Play();
        }
        catch (Exception e)
        {
            Findings.Add($"{e.GetType().Name}: {e.Message}");
        }
        finally
        {
            _stop = true;
            foreach (Thread thread in _threads) thread.Join();
        }

        return Findings;
    }

    public void Dispose()
    {
        Close();
        Workspace.Dispose();
    }

    protected abstract void Play();

    /// <summary>Disposes what the scene opened.</summary>
    protected abstract void Close();

    protected void OnThread(Action action)
    {
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                Findings.Add($"one of the others failed: {e.GetType().Name}: {e.Message}");
            }
        })
        { IsBackground = true };
        _threads.Add(thread);
        thread.Start();
    }

    protected void StopOthers()
    {
        _stop = true;
        foreach (Thread thread in _threads) thread.Join();
        _threads.Clear();
        _stop = false;
    }

    /// <summary>Waits for a condition.</summary>
    /// <returns><see langword="false"/> where it did not come true in time, which is a problem.</returns>
    protected bool Soon(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
            {
                Findings.Add($"waited {Patience.TotalSeconds} s for {what}");
                return false;
            }

            Thread.Sleep(2);
        }

        return true;
    }

    /// <summary>Checks that every slot of an empty queue can be used, which its counts alone do not show.</summary>
    protected void CheckCapacity(WorkQueue queue)
    {
        int sent = 0, done = 0;
        while (sent <= queue.Capacity && queue.TrySend([1])) sent++;
        while (queue.TryLease(out WorkLease lease) && lease.Complete()) done++;
        if (sent != queue.Capacity || done != sent)
            Findings.Add($"slots: of {queue.Capacity} slots {sent} could be filled and {done} emptied");
        Soon(() => Workspace.LentBlocks(queue.Name.Value + ".queue") == 0, "every block to be free again");
    }

    /// <summary>Lets a stopped victim lie for longer than anybody's period.</summary>
    protected static void WaitOutAPeriod(long since)
    {
        // Passing time is the point here: it is a timeout that must not exist.
        while (Stopwatch.GetElapsedTime(since) < LongStop) Thread.Sleep(10);
    }

    /// <summary>Lets a stopped victim lie for that long, continue, and finish.</summary>
    protected void LetFinish(Victim victim, long since)
    {
        WaitOutAPeriod(since);
        victim.Continue();
        victim.Finish();
        Soon(() => victim.HasExited, "the victim to finish");
        victim.AwaitEnd(Findings);
    }

    /// <summary>Notes a silence; too long a one is a problem.</summary>
    protected void Judge(TimeSpan silence, string who)
    {
        Findings.Stalled(silence);
        if (silence > Limit + Slack) Findings.Add($"I5: {who} could do nothing for {silence}");
    }
}
