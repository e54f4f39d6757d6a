using System.Diagnostics;
using Otto.Queue;
using Otto.Tools.Demo.Work;

namespace Otto.Tools.Demo;

// Who does what. The same few lines run in one process or in two; which queue a task goes to is its name, how it gets there is not
// the agents' concern.

internal static class Agents
{
    private const string IndexQueue = "demo.index", VisionQueue = "demo.vision", VoiceQueue = "demo.voice", ProbeQueue = "demo.probe",
        OrchestratorQueue = "demo.orchestrator";
    private static readonly TimeSpan WhileFull = TimeSpan.FromMilliseconds(5);

    /// <summary>The orchestrator and the indexer.</summary>
    public static TaskQueueOptions WithOrchestrator(this TaskQueueOptions options, ResultTally ledger) => options
        .AddHandler<Result>("demo.result", (result, _, _) =>
        {
            ledger.Record(result);
            return default;
        }, h => { h.Queue = OrchestratorQueue; h.Concurrency = 1; })
        .AddHandler<FilesFound>("demo.found", (found, _, _) =>
        {
            ledger.Record(found);
            return default;
        }, h => { h.Queue = OrchestratorQueue; h.Concurrency = 1; })
        .AddHandler<IndexFolder>("demo.index", IndexAsync, h => { h.Queue = IndexQueue; h.Retries = 0; h.Concurrency = 1; });

    /// <summary>Vision and voice.</summary>
    public static TaskQueueOptions WithVisionAndVoice(this TaskQueueOptions options, string directory) => options
        .AddHandler<AnalyseFile>("demo.analyse",
            (task, context, cancellationToken) => AnalyseAsync(directory, task, context, cancellationToken), h => h.Queue = VisionQueue)
        .AddHandler<ListenToFile>("demo.listen",
            (task, context, cancellationToken) => ListenAsync(directory, task, context, cancellationToken), h => h.Queue = VoiceQueue)
        .AddHandler<Probe>("demo.probe", ProbeAsync, h => { h.Queue = ProbeQueue; h.Concurrency = 1; });

    /// <summary>What the orchestrator's process sends to vision and voice when they live elsewhere.</summary>
    public static TaskQueueOptions SendingWork(this TaskQueueOptions options) => options
        .AddProducer<AnalyseFile>("demo.analyse", h => h.Queue = VisionQueue)
        .AddProducer<Probe>("demo.probe", h => h.Queue = ProbeQueue);

    /// <summary>What vision and voice send back when the orchestrator lives elsewhere.</summary>
    public static TaskQueueOptions SendingResults(this TaskQueueOptions options) => options
        .AddProducer<Result>("demo.result", h => h.Queue = OrchestratorQueue);

    /// <summary>Enqueues from inside a handler, where waiting for room is the handler's own
    /// decision: the agents form no circle.</summary>
    private static async ValueTask EnqueueAsync<T>(ITaskQueue tasks, T task, CancellationToken cancellationToken)
        where T : notnull
    {
        while (true)
        {
            try
            {
                await tasks.EnqueueAsync(task, cancellationToken: cancellationToken);
                return;
            }
            catch (QueueFullException)
            {
                await Task.Delay(WhileFull, cancellationToken);
            }
        }
    }

    private static async ValueTask IndexAsync(IndexFolder task, TaskContext context, CancellationToken cancellationToken)
    {
        ITaskQueue tasks = context.TaskQueue;
        int count = 0;
        foreach (string path in FilesOf(task.Directory).Take(task.Limit))
            await EnqueueAsync(tasks, new AnalyseFile(count++, Path.GetRelativePath(task.Directory, path), Stopwatch.GetTimestamp()),
                cancellationToken);
        await EnqueueAsync(tasks, new FilesFound(count), cancellationToken);
    }

    /// <summary>Every file below a directory, in a fixed order; links are not followed,
    /// what may not be listed is left out.</summary>
    private static IEnumerable<string> FilesOf(string directory) => Directory
        .EnumerateFiles(directory, "*",
            new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint,
                IgnoreInaccessible = true })
        .Order(StringComparer.Ordinal);

    private static async ValueTask AnalyseAsync(string directory, AnalyseFile task, TaskContext context,
        CancellationToken cancellationToken)
    {
        long overhead = Stopwatch.GetTimestamp() - task.SentAt;
        ITaskQueue tasks = context.TaskQueue;
        Result result = Try(ResultTally.Vision, task.Id, overhead, task.Path,
            () => FileAnalysis.Describe(Path.Combine(directory, task.Path), cancellationToken));
        await EnqueueAsync(tasks, new ListenToFile(task.Id, task.Path, Stopwatch.GetTimestamp()), cancellationToken);
        await EnqueueAsync(tasks, result, cancellationToken);
    }

    private static ValueTask ListenAsync(string directory, ListenToFile task, TaskContext context, CancellationToken cancellationToken)
    {
        long overhead = Stopwatch.GetTimestamp() - task.SentAt;
        return EnqueueAsync(context.TaskQueue,
            Try(ResultTally.Voice, task.Id, overhead, task.Path, () => Spectrum.Describe(Path.Combine(directory, task.Path))),
            cancellationToken);
    }

    private static ValueTask ProbeAsync(Probe task, TaskContext context, CancellationToken cancellationToken)
    {
        long overhead = Stopwatch.GetTimestamp() - task.SentAt;
        return EnqueueAsync(context.TaskQueue, new Result(ResultTally.ProbeAgent, task.Id, overhead, ""), cancellationToken);
    }

    /// <summary>A file that cannot be read is a result too: trying it again would not help,
    /// and nothing may go missing.</summary>
    private static Result Try(string agent, int id, long overhead, string path, Func<string> work)
    {
        try
        {
            return new Result(agent, id, overhead, work());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Result(agent, id, overhead, $"{path}: {e.Message}"[..Math.Min(300, path.Length + 2 + e.Message.Length)],
                Failed: true);
        }
    }
}
