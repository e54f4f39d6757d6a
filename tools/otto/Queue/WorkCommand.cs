using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Otto.Queue;

namespace Otto.Tools.Queue;

// otto queue work: a command for each task. Its standard input is the payload; its exit code says whether the task is done.

internal static class WorkCommand
{
    // A dead letter in shared memory keeps 208 bytes of reason, and it is the end that matters.
    private const int MostStderr = 120;

    private static readonly Lazy<Stream> s_errors = new(Console.OpenStandardError);

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
        var json = new Option<bool>("--json")
            { Description = "Print one JSON object per attempt; the commands' output goes to standard error." };
        var command = new Command(
            "work",
            """
            Runs a command for each task. The payload is on standard input; OTTO_TASK_ID, OTTO_TASK_NAME, OTTO_TASK_QUEUE and
            OTTO_TASK_ATTEMPT are in the environment. Exit code 0 completes the task. Any other code fails the attempt, and
            the end of the command's standard error is the reason.
            Ctrl-C lets running commands finish and starts no more.

            Example:
              otto queue work photos --concurrency 4 -- ./resize.sh
            """) { name, run, task, concurrency, retries, timeout, count, json };
        QueueTarget place = new QueueTarget(command, withFormat: true);
        QueueCommand.SetAction(command, async (parsed, _) =>
        {
            string queueName = parsed.GetValue(name)!, taskName = parsed.GetValue(task) ?? queueName;
            string[] words = parsed.GetValue(run)!;
            int left = QueueTarget.Number(parsed.GetValue(count), "--count", 1, int.MaxValue) ?? int.MaxValue;
            int places = Math.Min(left, QueueTarget.Number(parsed.GetValue(concurrency), "--concurrency", 1, 10_000) ?? 1);
            int retry = QueueTarget.Number(parsed.GetValue(retries), "--retry", 0, 1000) ?? 3;
            TimeSpan? limit = QueueTarget.Seconds(parsed.GetValue(timeout), "--timeout");
            TaskCompletionSource enough = new(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskQueueOptions options =
                place.Options(parsed).AddHandler<ReadOnlyMemory<byte>>(taskName, async (payload, context, cancellationToken) =>
            {
                bool last = false, asJson = parsed.GetValue(json);
                long start = Stopwatch.GetTimestamp();
                try
                {
                    await RunAsync(words, payload, context, asJson, cancellationToken);
                    last = true;
                    if (asJson) QueueCommand.Print(Attempt(context, start, null));
                }
                catch (Exception e) when (asJson)
                {
                    QueueCommand.Print(Attempt(context, start, e.Message));
                    throw;
                }
                finally
                {
                    if ((last || context.Attempt >= context.MaxAttempts) && Interlocked.Decrement(ref left) <= 0) enough.TrySetResult();
                }
            }, h =>
            {
                h.Queue = queueName;
                h.Concurrency = places;
                h.Retries = retry;
                h.Serializer = place.Serializer(parsed);
                if (limit is { } time) h.Timeout = time;
            });
            await using var queue = new TaskQueue(options);
            using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop),
                terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
            await queue.StartAsync(CancellationToken.None);
            foreach (RouteStatus route in (await queue.ExplainRouteAsync(taskName, cancellationToken: CancellationToken.None)).Routes.Where(
                static r => r.Error is not null))
                Console.Error.WriteLine($"otto: {route.Error}; waiting for it");
            await enough.Task;
            DrainReport report = await queue.StopAsync(CancellationToken.None);
            QueueStatistics numbers = queue.GetStatistics()[0];
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"otto: {numbers.Completed:N0} tasks done, "
                + $"{numbers.Failed:N0} attempts failed, {numbers.DeadLettered:N0} given "
                + $"up{(report.StillRunning > 0 ? $", {report.StillRunning} still running" : "")}"));
            return numbers.DeadLettered > 0 ? ExitCode.Failed : ExitCode.Done;

            void Stop(PosixSignalContext signal)
            {
                signal.Cancel = enough.TrySetResult(); // A second one ends the program.
            }
        });
        return command;
    }

    // On to our own standard error as it comes, and only its end kept: a command may say as much as it likes.
    private static async Task<string> PassErrorsAsync(Stream errors, CancellationToken cancellationToken)
    {
        byte[] piece = new byte[1 << 14];
        byte[] end = [];
        for (int read; (read = await errors.ReadAsync(piece, cancellationToken)) > 0;)
        {
            await s_errors.Value.WriteAsync(piece.AsMemory(0, read), cancellationToken);
            end = [.. end, .. piece.AsSpan(0, read)];
            if (end.Length > MostStderr * 4) end = end[^(MostStderr * 4)..];
        }

        if (end is [.., not (byte)'\n']) await s_errors.Value.WriteAsync("\n"u8.ToArray(), cancellationToken);
        return Encoding.UTF8.GetString(end).Trim();
    }

    private static AttemptLine Attempt(TaskContext context, long start, string? error) => new(
        context.Id.ToString(), context.Queue, context.Name, context.Route.ToString(), context.Attempt,
        Math.Round(Stopwatch.GetElapsedTime(start).TotalSeconds, 6), error is null, error);

    private static async Task RunAsync(string[] words, ReadOnlyMemory<byte> payload, TaskContext context, bool keepOutput,
        CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(words[0], words[1..]) { RedirectStandardInput = true, RedirectStandardError = true,
            RedirectStandardOutput = keepOutput };
        start.Environment["OTTO_TASK_ID"] = context.Id.ToString();
        start.Environment["OTTO_TASK_NAME"] = context.Name;
        start.Environment["OTTO_TASK_QUEUE"] = context.Queue;
        start.Environment["OTTO_TASK_ATTEMPT"] = context.Attempt.ToString(CultureInfo.InvariantCulture);
        using Process process = Process.Start(start) ?? throw new IOException($"{words[0]} could not be started");
        try
        {
            Task<string> errors = PassErrorsAsync(process.StandardError.BaseStream, cancellationToken);
            Task passing = keepOutput ? process.StandardOutput.BaseStream.CopyToAsync(s_errors.Value, cancellationToken)
                : Task.CompletedTask;
            try
            {
                await process.StandardInput.BaseStream.WriteAsync(payload, cancellationToken);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It does not want to read all of it.
            }

            await process.WaitForExitAsync(cancellationToken);
            await passing;
            string said = await errors;
            if (process.ExitCode != 0) throw new InvalidOperationException($"{words[0]} ended with code "
                + $"{process.ExitCode}{(said.Length == 0 ? "" : $": {said[Math.Max(0, said.Length - MostStderr)..]}")}");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
