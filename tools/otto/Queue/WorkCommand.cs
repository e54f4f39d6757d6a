using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Otto.Queue;

namespace Otto.Tools.Queue;

// otto queue work: a command for each task. Its standard input is the payload; its exit code says whether the task is done.

internal static class WorkCommand
{
    // A command that runs takes as long as it takes.
    private static readonly TimeSpan LongestDrain = TimeSpan.FromDays(1);

    public static Command Create()
    {
        Argument<string> name = QueueCommand.NameArgument();
        var run = new Argument<string[]>("COMMAND") { Description = "The program and its arguments, after --.",
            Arity = ArgumentArity.OneOrMore };
        var task = new Option<string?>("--task") { Description = "The task's name. Default: the queue's.", HelpName = "TASK" };
        var concurrency = new Option<string?>("--concurrency") { Description = "Number of commands that run at the same time. Default: 1.",
            HelpName = "N" };
        var retries = new Option<string?>("--retry") { Description = "Number of retries after a failed attempt. Default: 3.",
            HelpName = "N" };
        var timeout = new Option<string?>("--timeout") { Description = "Kill the command and fail the attempt after this many seconds.",
            HelpName = "SECONDS" };
        var count = new Option<string?>("--count") { Description = "Exit after this many tasks have ended. Default: run until Ctrl-C.",
            HelpName = "N" };
        var workers = new Option<string?>("--workers")
        {
            Description = "Start this many processes that live for many tasks: a task is a line of JSON on standard input, an answer a "
                + "line on standard output. See docs/workers.md.",
            HelpName = "N",
        };
        var json = new Option<bool>("--json")
            { Description = "Print one JSON object per attempt; the commands' output goes to standard error." };
        var command = new Command(
            "work",
            """
            Runs a command for each task. The payload is on standard input; OTTO_TASK_ID, OTTO_TASK_NAME, OTTO_TASK_QUEUE and
            OTTO_TASK_ATTEMPT are in the environment. Exit code 0 completes the task. Any other code fails the attempt, and
            the end of the command's standard error is the reason.
            A command is done when it has exited, whatever it left in the background. It runs in a session and process group
            of its own, and is killed with its group if this worker dies.

            Ctrl-C, SIGTERM or SIGHUP lets running commands finish and starts no more. A second one, or SIGQUIT, ends them
            and what they started (SIGTERM, after 5 seconds SIGKILL) and returns their tasks; the exit code is then 128
            plus the signal's number.

            Example:
              otto queue work photos --concurrency 4 -- ./resize.sh
            """) { name, run, task, concurrency, retries, timeout, count, workers, json };
        QueueTarget place = new QueueTarget(command, withFormat: true);
        QueueCommand.SetAction(command, async (parsed, _) =>
        {
            string queueName = parsed.GetValue(name)!, taskName = parsed.GetValue(task) ?? queueName;
            string[] words = parsed.GetValue(run)!;
            int left = QueueTarget.Number(parsed.GetValue(count), "--count", 1, int.MaxValue) ?? int.MaxValue;
            int? processes = QueueTarget.Number(parsed.GetValue(workers), "--workers", 1, 10_000);
            if (processes is not null && parsed.GetValue(concurrency) is not null)
                throw new ArgumentException("each of --workers runs one task at a time; leave --concurrency out");
            int places = Math.Min(left, processes ?? QueueTarget.Number(parsed.GetValue(concurrency), "--concurrency", 1, 10_000) ?? 1);
            int retry = QueueTarget.Number(parsed.GetValue(retries), "--retry", 0, 1000) ?? 3;
            TimeSpan? limit = QueueTarget.Seconds(parsed.GetValue(timeout), "--timeout");
            bool asJson = parsed.GetValue(json);
            if (ExecutableLookup.Problem(words[0]) is { } problem)
            {
                Console.Error.WriteLine($"otto: {problem.Words}");
                return problem.IsMissing ? ExitCode.NotFound : ExitCode.NotExecutable;
            }

            using var guard = new CommandGuard(leasesByTime: place.Redis(parsed) is not null);
            using var signals = new WorkSignals();
            ITaskSerializer serializer = place.Serializer(parsed);
            TaskRunner runner = processes is null ? new TaskCommand(words, asJson, guard, signals)
                : new LineWorkers(words, serializer.Format == 1, limit, guard, signals);
            TaskQueueOptions options = place.Options(parsed, LongestDrain);
            // A command has no result; who waits for one gets that of a worker's answer.
            if (processes is null)
                options.AddHandler<ReadOnlyMemory<byte>>(
                    taskName, async (payload, context, stop) => await HandleAsync(payload, context, stop), Configure);
            else options.AddHandler<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(taskName, HandleAsync, Configure);
            await using var queue = new TaskQueue(options);
            await guard.StartAsync();
            await queue.StartAsync(CancellationToken.None);
            foreach (RouteStatus route in (await queue.ExplainRouteAsync(taskName, cancellationToken: CancellationToken.None)).Routes.Where(
                static r => r.Error is not null))
                Console.Error.WriteLine($"otto: {route.Error}; waiting for it");
            await signals.Stopping;
            DrainReport report = await StopAsync(queue, runner, signals);
            await runner.CloseAsync();
            QueueStatistics numbers = queue.GetStatistics()[0];
            Console.Error.WriteLine($"otto: {Sum(numbers, runner.Returned, report.StillRunning)}");
            return signals.ExitCode != 0 ? signals.ExitCode : numbers.DeadLettered > 0 ? ExitCode.Failed : ExitCode.Done;

            async ValueTask<ReadOnlyMemory<byte>> HandleAsync(ReadOnlyMemory<byte> payload, TaskContext context, CancellationToken stop)
            {
                bool last = false;
                long start = Stopwatch.GetTimestamp();
                try
                {
                    ReadOnlyMemory<byte> result = await runner.RunAsync(payload, context, stop);
                    last = true;
                    if (asJson) QueueCommand.Print(Attempt(context, start, null));
                    return result;
                }
                catch (Exception e)
                {
                    last = e is TaskRejectedException; // It is not tried again.
                    if (asJson && !(e is OperationCanceledException && signals.Told.IsCompleted))
                        QueueCommand.Print(Attempt(context, start, e.Message));
                    throw;
                }
                finally
                {
                    if ((last || context.Attempt >= context.MaxAttempts) && Interlocked.Decrement(ref left) <= 0) signals.Stop();
                }
            }

            void Configure(HandlerOptions h)
            {
                h.Queue = queueName;
                h.Concurrency = places;
                h.Retries = retry;
                h.Serializer = serializer;
                if (limit is { } time && processes is null) h.Timeout = time;
            }
        });
        return command;
    }

    // Begins nothing new, and lets what runs finish. Where it is told to end, the tasks go back once their commands have ended.
    private static async Task<DrainReport> StopAsync(TaskQueue queue, TaskRunner runner, WorkSignals signals)
    {
        using var giveBack = new CancellationTokenSource();
        Task<DrainReport> stop = queue.StopAsync(giveBack.Token);
        if (signals.Received && !signals.Told.IsCompleted && runner.Running > 0)
            await Console.Error.WriteLineAsync("otto: stops when the running commands have finished; a second signal ends them");
        await Task.WhenAny(stop, signals.Told);
        if (stop.IsCompleted) return await stop;
        await runner.EndedAsync();
        await giveBack.CancelAsync();
        return await stop;
    }

    private static string Sum(QueueStatistics numbers, int returned, int running) => string.Create(CultureInfo.InvariantCulture,
        $"{numbers.Completed:N0} tasks done, {numbers.Failed - returned:N0} attempts failed, {numbers.DeadLettered:N0} given up"
        + $"{(returned > 0 ? $", {returned:N0} returned" : "")}{(running > 0 ? $", {running:N0} still running" : "")}");

    private static AttemptLine Attempt(TaskContext context, long start, string? error) => new(
        context.Id.ToString(), context.Queue, context.Name, context.Route.ToString(), context.Attempt,
        Math.Round(Stopwatch.GetElapsedTime(start).TotalSeconds, 6), error is null, error);
}
