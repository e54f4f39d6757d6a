using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Otto.Queue;

namespace Otto.Ipc.FaultLab.Scenes;

// One schedule that the victim sets, cancels or runs until it is down, and that others set and run. It is never lost, whoever sets it never
// waits, in the end only the newest runs, one run at a time, and once it is cancelled nothing is left of it.

internal sealed class ScheduleScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    public const string Set = "tasks-set", Cancel = "tasks-cancel", Tick = "tasks-tick";

    private const string Name = "jobs", Key = "tick";
    private const int WhileStopped = 1_000_000, Final = 1_000_001, Enough = 5;

    private readonly ConcurrentQueue<int> _ticks = new();
    private TaskQueue? _setter, _runner;
    private WorkQueue? _queue;
    private Victim? _victim;
    private int _running;

    protected override void Play()
    {
        _setter = Open(static o => o.AddProducer<byte[]>(Name));
        SetTo(0);
        // A victim that runs the schedule is the only one that does, until it is down.
        bool victimRuns = Fault.Victim == Tick;
        if (!victimRuns) StartRunner();
        _victim = new Victim(Workspace, Fault, Kill, Name);
        bool isDown = _victim.AwaitDown(Findings, MustReach);
        if (victimRuns) StartRunner();
        if (!isDown)
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        if (Kill)
        {
            if (Fault.Victim != Cancel) AwaitNewest();
        }
        else
        {
            SetTo(WhileStopped);
            Judge(Stopwatch.GetElapsedTime(down), "whoever sets the schedule");
            LetFinish(_victim, down);
        }

        SetTo(Final);
        Settle(static tick => tick == Final, "only the newest to run: there is one schedule");
        End();
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _setter?.Dispose();
        _runner?.Dispose();
        _queue?.Dispose();
    }

    private TaskQueue Open(Action<TaskQueueOptions> configure)
    {
        TaskQueueOptions options = new TaskQueueOptions().UseSharedMemory(s => s.Directory = Workspace.Directory);
        configure(options);
        TaskQueue queue = new(options);
        queue.StartAsync().GetAwaiter().GetResult();
        return queue;
    }

    private void StartRunner() => _runner = Open(o => o.AddHandler<byte[]>(Name, async (payload, _, _) =>
    {
        if (Interlocked.Increment(ref _running) > 1) Findings.Add("one schedule: two runs at once");
        _ticks.Enqueue(BitConverter.ToInt32(payload));
        await Task.Delay(2, CancellationToken.None);
        Interlocked.Decrement(ref _running);
    }, static h => h.Concurrency = 2));

    private TaskReceipt SetTo(int number) => _setter!.EnqueueAsync(BitConverter.GetBytes(number),
        new() { RepeatInterval = TimeSpan.FromMilliseconds(5), UniqueKey = Key }).AsTask().GetAwaiter().GetResult();

    /// <summary>What a killed victim set last runs, or what it was about to set.</summary>
    private void AwaitNewest()
    {
        int set = Number(_victim!.Last("set")), about = Number(_victim.Last("intent"));
        Settle(tick => tick == set || tick == about, string.Create(CultureInfo.InvariantCulture,
            $"the schedule that a killed process had set last ({set} or {about}) to go on"));

        static int Number(string? text) => text is null ? 0 : int.Parse(text.Split('@')[0], CultureInfo.InvariantCulture);
    }

    private void Settle(Func<int, bool> isExpected, string what)
    {
        int before = _ticks.Count;
        Soon(() => _ticks.Count >= before + Enough && _ticks.Skip(_ticks.Count - Enough).ToArray() is { Length: >= Enough } last
            && isExpected(last[0]) && Array.TrueForAll(last, tick => tick == last[0]), what);
    }

    private void End()
    {
        TaskReceipt receipt = SetTo(Final);
        if (receipt.Outcome != EnqueueOutcome.Duplicate) Findings.Add($"one schedule: set again, it was {receipt.Outcome}");
        _queue = Workspace.Transport.OpenQueue(Name);
        Soon(() => _setter!.CancelAsync(receipt).AsTask().GetAwaiter().GetResult() == CancelOutcome.NotFound
            && _queue.GetCounts() is { Ready: 0, Leased: 0, Delayed: 0 }, "nothing to be left of a cancelled schedule");
        Soon(() => !Workspace.Lists(Name, _victim!.Id), "somebody to sweep the victim");
        _runner!.Dispose();
        CheckCapacity(_queue);
    }
}
