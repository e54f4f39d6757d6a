using System.CommandLine;
using System.Text.Json;
using Otto.Ipc;
using Otto.Queue;
using Otto.Queue.Redis;

namespace Otto.Tools.Queue;

// otto queue: tasks from a shell, and a look at what lies in queues. Looking takes no part; a queue that is not there is not made by it.

internal static class QueueCommand
{
    public static Command Create()
    {
        var command = new Command(
            "queue",
            """
            Sends tasks, runs a command for each task, and shows what queues hold, in shared memory and in Redis.

            Example:
              otto queue work photos -- sh -c 'convert - "$OTTO_TASK_ID.png"' &
              otto queue send photos - <a.jpg
              otto queue stat photos
            """);
        command.Add(SendCommand.Create());
        command.Add(WorkCommand.Create());
        command.Add(CreateRoute());
        command.Add(CreateStat());
        command.Add(CreateCancel());
        command.Add(DeadCommand.CreateList());
        command.Add(DeadCommand.CreateMove("requeue", "Moves dead letters back to the queue and resets their attempts.",
            static (letters, task, stop) => letters.RequeueAsync(task, stop)));
        command.Add(DeadCommand.CreateMove("drop", "Deletes dead letters permanently.",
            static (letters, task, stop) => letters.DeleteAsync(task, stop)));
        return command;
    }

    public static Argument<string> NameArgument() => new("NAME") { Description = "The queue." };

    public static Option<bool> JsonOption() => new("--json") { Description = "Print one JSON object per line." };

    public static void Print(object value) => Console.WriteLine(JsonSerializer.Serialize(value, value.GetType(), QueueJson.Default));

    private static Command CreateRoute()
    {
        Argument<string> name = NameArgument();
        var durability = new Option<string?>("--durability")
        {
            Description = "What the task must survive: none, process (the death of any process) or cluster (the loss of this machine). "
                + "Default: none.",
            HelpName = "D",
        };
        var key = new Option<string?>("--key") { Description = "Explain the route of a task with this unique key.", HelpName = "KEY" };
        Option<bool> json = JsonOption();
        var command = new Command(
            "route",
            """
            Explains which route a task would take from here now and why, and shows the state of each route. Sends nothing.

            Example:
              otto queue route photos --redis localhost:6379
            """) { name, durability, key, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            EnqueueOptions options =
                new() { Durability = QueueTarget.Choice<Durability>(parsed.GetValue(durability), "--durability") ?? Durability.None,
                    UniqueKey = parsed.GetValue(key) };
            await using TaskQueue queue = place.Open(parsed, parsed.GetValue(name)!);
            RouteExplanation explanation = await queue.ExplainRouteAsync(parsed.GetValue(name)!, options, stop);
            if (parsed.GetValue(json)) Print(ExplanationLine.Of(explanation));
            else
            {
                Console.WriteLine($"{explanation.Route}: {explanation.Reason}");
                foreach (RouteStatus status in explanation.Routes.Where(static s => s.Route != RouteName.InProcess))
                    Console.WriteLine($"  {status.Route}: {RouteLine.Words(status)}");
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static Command CreateStat()
    {
        Argument<string> name = NameArgument();
        Option<bool> json = JsonOption();
        var command = new Command(
            "stat",
            """
            Shows what a queue holds, by route, and how many workers it has.

            Example:
              otto queue stat photos --json | jq .ready
            """) { name, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            string wanted = parsed.GetValue(name)!;
            if (!place.Exists(parsed, wanted)) return Absent(wanted);
            await using TaskQueue queue = place.Open(parsed, wanted);
            RouteExplanation explanation = await queue.ExplainRouteAsync(wanted, null, stop);
            bool allWell = true;
            foreach (RouteStatus status in explanation.Routes.Where(static s => s.Route != RouteName.InProcess))
            {
                allWell &= status.Error is null;
                if (parsed.GetValue(json)) Print(RouteLine.Of(wanted, status));
                else
                {
                    Console.WriteLine($"{status.Route}: {RouteLine.Words(status)}");
                    foreach (RouteWarning warning in status.Warnings) Console.WriteLine($"  warning ({warning.Code}): {warning.Text}");
                }
            }

            return allWell ? ExitCode.Done : ExitCode.NoSegment;
        });
        return command;
    }

    private static Command CreateCancel()
    {
        Argument<string> name = NameArgument();
        var id = new Argument<string>("ID") { Description = "The task's id, as printed when it was sent." };
        Option<bool> json = JsonOption();
        var command = new Command(
            "cancel",
            """
            Removes a task that has not started, or asks its handler to stop. Prints removed or requested. Exits with 1 if the
            task has ended.

            Example:
              otto queue cancel photos 0af7651916cd43dd8448eb211c80319c
            """) { name, id, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            string wanted = parsed.GetValue(name)!;
            if (!TaskId.TryParse(parsed.GetValue(id), out TaskId task))
                throw new ArgumentException($"ID must be 32 hexadecimal digits: '{parsed.GetValue(id)}'");
            if (!place.Exists(parsed, wanted)) return Absent(wanted);
            await using TaskQueue queue = place.Open(parsed, wanted);
            CancelOutcome outcome = await queue.CancelAsync(wanted, task, stop);
            if (parsed.GetValue(json)) Print(new CancelledLine(task.ToString(), wanted, outcome.ToString()));
            else if (outcome == CancelOutcome.NotFound)
                Console.Error.WriteLine($"otto: no task {task} is pending or running in '{wanted}'");
            else Console.WriteLine(outcome == CancelOutcome.Removed ? "removed" : "requested");
            return outcome == CancelOutcome.NotFound ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    /// <summary>Runs a command whose queue may be out of reach, or full.</summary>
    public static void SetAction(Command command, Func<ParseResult, CancellationToken, Task<int>> run) =>
        command.SetAction(async (parsed, stop) =>
    {
        try
        {
            return await run(parsed, stop);
        }
        catch (Exception e) when (e is RedisUnavailableException or QueueFullException
            or AggregateException { InnerException: RedisUnavailableException or QueueFullException })
        {
            Console.Error.WriteLine($"otto: {e.Message}");
            return (e.InnerException ?? e) is QueueFullException || e is QueueFullException ? ExitCode.Full : ExitCode.NoSegment;
        }
    });

    public static int Absent(string queue)
    {
        Console.Error.WriteLine($"otto: there is no queue '{queue}'");
        return ExitCode.NoSegment;
    }
}
