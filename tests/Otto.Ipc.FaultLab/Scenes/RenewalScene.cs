using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Ipc.Mmap;
using Otto.Queue;

namespace Otto.Ipc.FaultLab.Scenes;

// The victim opens a queue with other options than its segment was made with. An empty one is made anew, whoever dies in between; one that
// holds tasks goes on, and none is lost.

internal sealed class RenewalScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    public const string Empty = "tasks-open 96 empty", Filled = "tasks-open 96 filled";

    private const string Name = "jobs";
    private const int Before = 64, After = 96, Left = 5, More = 50;

    private readonly ConcurrentDictionary<int, int> _done = new();
    private TaskQueue? _others;
    private Victim? _victim;

    protected override void Play()
    {
        bool filled = Fault.Victim == Filled;
        if (filled) Leave();
        else Workspace.Transport.OpenQueue(Name, new MmapQueueOptions { Slots = Before }).Dispose();
        _victim = new Victim(Workspace, Fault, Kill, Name);
        if (!_victim.AwaitDown(Findings, MustReach))
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        // The one step that a stopped process can hold up: only its remover may take the name away.
        bool mayRefuse = !Kill && Fault.Point == "remove.retired";
        try
        {
            _others = Open(After);
        }
        catch (IOException) when (mayRefuse)
        {
            // It is told so at once.
        }

        Judge(Stopwatch.GetElapsedTime(down), "whoever opens the queue next");
        if (!Kill) LetFinish(_victim, down);
        _others ??= Open(After);
        for (int i = 0; i < More; i++) _others.EnqueueAsync(BitConverter.GetBytes(Left + i)).AsTask().GetAwaiter().GetResult();
        foreach (string line in _victim.Lines.Where(static l => l.StartsWith("done ", StringComparison.Ordinal)))
            Count(int.Parse(line.Split(' ', '@')[1], System.Globalization.CultureInfo.InvariantCulture));
        Soon(() => Enumerable.Range(filled ? 0 : Left, More + (filled ? Left : 0)).All(_done.ContainsKey), "every task to be done (I15)");
        _others.Dispose();
        if (_done.Any(static d => d.Value > 1)) Findings.Add("I15: a task was done twice");
        using WorkQueue queue = Workspace.Transport.OpenQueue(Name);
        // Beside a victim that had it open, it went on as it was.
        if (!filled && Kill && queue.Capacity != After) Findings.Add($"I15: an empty queue kept its {queue.Capacity} slots");
        CheckCapacity(queue);
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _others?.Dispose();
    }

    private void Leave()
    {
        using TaskQueue producer = new(Options(Before).AddProducer<byte[]>(Name));
        producer.StartAsync().GetAwaiter().GetResult();
        for (int i = 0; i < Left; i++) producer.EnqueueAsync(BitConverter.GetBytes(i)).AsTask().GetAwaiter().GetResult();
    }

    private TaskQueue Open(int slots)
    {
        TaskQueue queue = new(Options(slots).AddHandler<byte[]>(Name, (payload, _, _) =>
        {
            Count(BitConverter.ToInt32(payload));
            return default;
        }));
        queue.StartAsync().GetAwaiter().GetResult();
        return queue;
    }

    private TaskQueueOptions Options(int slots) => new TaskQueueOptions().UseSharedMemory(s =>
    {
        s.Directory = Workspace.Directory;
        s.Slots = slots;
    });

    private void Count(int number) => _done.AddOrUpdate(number, 1, static (_, times) => times + 1);
}
