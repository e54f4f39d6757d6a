using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Queue;

namespace Otto.Tools.Queue;

// otto queue work --workers: a number of processes that live for many tasks, one task at a time each. One that ends, or breaks the
// protocol, fails the task that it had, and another is started for the next one; not at once where that happens again and again.

internal sealed class LineWorkers(string[] words, bool json, TimeSpan? limit, CommandGuard guard, WorkSignals signals)
    : TaskRunner(words, guard, signals)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(30);

    private readonly ConcurrentBag<LineProcess> _idle = [];
    private int _failures;

    protected override async Task<ReadOnlyMemory<byte>> RunOnceAsync(ReadOnlyMemory<byte> payload, TaskContext context,
        CancellationToken stop)
    {
        // First: a payload that cannot be told to a process needs none.
        byte[] line = TaskLine.Write(context, payload.Span, json);
        LineProcess process = await FindAsync(context, stop);
        TaskAnswer parsed;
        // The time begins when the task reaches the command, not while one is started.
        using var late = CancellationTokenSource.CreateLinkedTokenSource(stop);
        if (limit is { } time) late.CancelAfter(time);
        try
        {
            ReadOnlyMemory<byte>? answered = await process.AskAsync(line, late.Token);
            if (answered is null && await HasLeftAsync(process))
            {
                process = await ReplaceAsync(process, context, stop);
                answered = await process.AskAsync(line, late.Token);
            }

            ReadOnlyMemory<byte> answer = answered ?? throw await EndedAsync(process);
            parsed = TaskAnswer.Parse(answer, context.Id.ToString());
        }
        catch (Exception e)
        {
            // Whatever it was, what the process does next is not known: the answer to this task may still come, and would be taken for
            // that to another.
            if (e is not OperationCanceledException) Interlocked.Increment(ref _failures);
            await EndAsync(process);
            if (e is OperationCanceledException && !stop.IsCancellationRequested)
                throw new TimeoutException($"attempt {context.Attempt} ran longer than {limit!.Value.TotalSeconds:0.###} s");
            if (e is InvalidDataException) throw new InvalidDataException($"{Name}: {e.Message}");
            throw;
        }

        Interlocked.Exchange(ref _failures, 0);
        _idle.Add(process);
        return parsed.Result();
    }

    public override async Task CloseAsync()
    {
        List<LineProcess> all = [];
        while (_idle.TryTake(out LineProcess? process)) all.Add(process);
        await Task.WhenAll(all.Select(async process =>
        {
            if (!Signals.Ending.IsCancellationRequested) await process.CloseAsync(Grace, Signals.Ending);
            await EndAsync(process);
        }));
    }

    private async Task<LineProcess> FindAsync(TaskContext context, CancellationToken stop)
    {
        while (_idle.TryTake(out LineProcess? idle))
        {
            if (idle.IsReady) return idle;
            int? code = idle.Group.Exited.IsCompleted ? await idle.Group.Exited : null;
            if (code != 0)
            {
                string what = code is { } number ? $"ended with code {number}" : "wrote to standard output without a task";
                await Console.Error.WriteLineAsync($"otto: {Name} {what}; another one is started");
                Interlocked.Increment(ref _failures);
            }

            await EndAsync(idle);
        }

        if (Volatile.Read(ref _failures) is > 0 and var failures)
        {
            TimeSpan pause = FirstPause * Math.Pow(2, Math.Min(failures - 1, 12));
            await Task.Delay(pause < LongestPause ? pause : LongestPause, stop);
        }

        return LineProcess.Start((input, output, errors) => Start([("OTTO_TASK_QUEUE", context.Queue)], input, output, errors));
    }

    // One that ends by itself after some tasks, as many servers do, may be on its way out when it gets another.
    private static async Task<bool> HasLeftAsync(LineProcess process) => process.HasAnswered
        && await Task.WhenAny(process.Group.Exited, Task.Delay(PassedOutput.Moment)) == process.Group.Exited
        && await process.Group.Exited == 0;

    private async Task<LineProcess> ReplaceAsync(LineProcess process, TaskContext context, CancellationToken stop)
    {
        await EndAsync(process);
        return await FindAsync(context, stop);
    }

    private async Task<LineProcessEndedException> EndedAsync(LineProcess process)
    {
        bool exited = await Task.WhenAny(process.Group.Exited, Task.Delay(PassedOutput.Moment)) == process.Group.Exited;
        string said = await process.LastWordsAsync(), how = exited ? $"ended with code {await process.Group.Exited}"
            : "closed its standard output";
        return new LineProcessEndedException($"{Name} {how} before it answered{(said.Length == 0 ? "" : $": {said}")}");
    }

    private async Task EndAsync(LineProcess process)
    {
        await process.Group.EndAsync(Grace, Signals.Hurry);
        await process.DisposeAsync();
    }

    private sealed class LineProcessEndedException(string message) : Exception(message);
}
