using System.CommandLine;
using System.Text;
using Otto.Queue;
using Otto.Queue.Redis;
using Otto.Tools.Streams;

namespace Otto.Tools.Queue;

// otto queue send: a task from an argument, from standard input, or one from each of its lines.

internal static class SendCommand
{
    private const int MostAtOnce = 1024;

    public static Command Create()
    {
        Argument<string> name = QueueCommand.NameArgument();
        var payload = new Argument<string?>("PAYLOAD")
            { Description = "The task's payload; - reads all of standard input. Without it, each line of standard input is a task.",
                Arity = ArgumentArity.ZeroOrOne };
        var task = new Option<string?>("--task") { Description = "The task's name. Default: the queue's.", HelpName = "TASK" };
        var delay = new Option<string?>("--delay") { Description = "Seconds before a worker may start it.", HelpName = "SECONDS" };
        var every = new Option<string?>("--every") { Description = "Repeat it, this many seconds after each run ends.",
            HelpName = "SECONDS" };
        var key = new Option<string?>("--key")
            { Description = "Reject it while another task with this key is pending or running (exit code 1).", HelpName = "KEY" };
        var durability = new Option<string?>("--durability")
        {
            Description = "What the task must survive: none, process (the death of any process) or cluster (the loss of this machine). "
                + "Default: none.",
            HelpName = "D",
        };
        var route = new Option<string?>("--route") { Description = "Force a route: mmap or redis.", HelpName = "ROUTE" };
        var timeout = new Option<string?>("--timeout")
            { Description = "Seconds to wait for space before failing with exit code 124. Default: no limit.", HelpName = "SECONDS" };
        Option<bool> json = QueueCommand.JsonOption();
        Option<bool> nullSeparated = LineInput.NullOption("A zero byte ends each task on standard input: for find -print0.");
        var command = new Command(
            "send",
            """
            Sends a task, or one task per line of standard input, and prints each task's id, its route and the reason.

            Example:
              find . -name '*.jpg' -print0 | otto queue send photos --null
              otto queue send photos '{"file":"a.jpg"}' --as json --delay 60 --key a.jpg
            """) { name, payload, task, delay, every, key, durability, route, timeout, json, nullSeparated };
        QueueTarget place = new QueueTarget(command, withFormat: true);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            if (parsed.GetValue(nullSeparated) && parsed.GetValue(payload) is not null)
                throw new ArgumentException("--null is for tasks from standard input; leave PAYLOAD out");
            EnqueueOptions options = new()
            {
                Delay = QueueTarget.Seconds(parsed.GetValue(delay), "--delay") ?? TimeSpan.Zero,
                RepeatInterval = QueueTarget.Seconds(parsed.GetValue(every), "--every"),
                UniqueKey = parsed.GetValue(key),
                Durability = QueueTarget.Choice<Durability>(parsed.GetValue(durability), "--durability") ?? Durability.None,
                Route = QueueTarget.Route(parsed.GetValue(route), "--route"),
            };
            await using TaskQueue queue = place.Open(parsed, parsed.GetValue(name)!, parsed.GetValue(task));
            RouteExplanation explanation = await queue.ExplainRouteAsync(parsed.GetValue(task) ?? parsed.GetValue(name)!, options, stop);
            // A shell wants to know, not to wait.
            if (explanation.Routes.FirstOrDefault(r => r.Route == explanation.Route)?.Error is { } error)
                throw new RedisUnavailableException(error);
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
            TimeSpan? most = QueueTarget.Seconds(parsed.GetValue(timeout), "--timeout");
            if (most is { } time) patience.CancelAfter(time);
            bool asJson = parsed.GetValue(json), allNew = true;
            foreach (List<ReadOnlyMemory<byte>> some in Tasks(parsed.GetValue(payload), parsed.GetValue(nullSeparated)))
            {
                try
                {
                    foreach (TaskReceipt receipt in await SendAsync(queue, some, options, most, patience.Token, stop)) Print(receipt);
                }
                catch (EnqueueManyException e)
                {
                    foreach (EnqueueResult result in e.Results.Where(static r => r.IsEnqueued)) Print(result.Receipt);
                    throw e.InnerExceptions[0] switch
                    {
                        TaskSerializationException tooLarge => TooLarge(tooLarge),
                        OperationCanceledException late when patience.IsCancellationRequested && !stop.IsCancellationRequested =>
                            Late(most, late),
                        { } other => other,
                    };
                }
            }

            return allNew ? ExitCode.Done : ExitCode.Failed;

            void Print(TaskReceipt receipt)
            {
                allNew &= receipt.Outcome != EnqueueOutcome.Duplicate;
                string replaced = receipt.Outcome == EnqueueOutcome.Replaced ? "; replaces the schedule that had the key" : "";
                if (asJson) QueueCommand.Print(
                    new SentLine(receipt.Id.ToString(), receipt.Route.ToString(), receipt.Reason, receipt.Outcome.ToString()));
                else Console.WriteLine($"{receipt.Id} {receipt.Route}: {receipt.Reason}{replaced}");
            }
        });
        return command;
    }

    private static async Task<IReadOnlyList<TaskReceipt>> SendAsync(
        TaskQueue queue, List<ReadOnlyMemory<byte>> tasks, EnqueueOptions options, TimeSpan? most, CancellationToken patience,
        CancellationToken stop)
    {
        try
        {
            return await queue.EnqueueManyAsync(tasks, options, patience);
        }
        catch (TaskSerializationException e)
        {
            throw TooLarge(e);
        }
        catch (Exception e) when (e is not EnqueueManyException && patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw Late(most, e);
        }
    }

    private static TimeoutException Late(TimeSpan? most, Exception e) =>
        new($"no route had room within {most!.Value.TotalSeconds:0.###} s: {e.Message}", e);

    // Bytes need no serializer: it is their number. The options that the library names cannot be set here.
    private static MessageTooLargeException TooLarge(TaskSerializationException e) =>
        new($"{e.Message.Split("; raise")[0]}; split the task, or send the name of a file");

    // As many at once as are here: what comes slowly is sent as it comes.
    private static IEnumerable<List<ReadOnlyMemory<byte>>> Tasks(string? payload, bool nullSeparated)
    {
        if (payload is not (null or "-"))
        {
            yield return [Encoding.UTF8.GetBytes(payload)];
            yield break;
        }

        LineInput input = new LineInput(nullSeparated);
        if (payload == "-")
        {
            yield return [input.ReadAll()];
            yield break;
        }

        List<ReadOnlyMemory<byte>> some = [];
        while (input.TryReadLine(out ReadOnlyMemory<byte> line))
        {
            some.Add(line.ToArray());
            if (some.Count < MostAtOnce && input.HasLine) continue;
            yield return some;
            some = [];
        }
    }
}
