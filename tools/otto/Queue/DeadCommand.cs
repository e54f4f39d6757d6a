using System.CommandLine;
using System.Globalization;
using Otto.Queue;

namespace Otto.Tools.Queue;

// otto queue dead, requeue and drop: the tasks that were given up.

internal static class DeadCommand
{
    private const int MostAtOnce = 1000;

    public static Command CreateList()
    {
        Argument<string> name = QueueCommand.NameArgument();
        var max = new Option<string?>("--max") { Description = "Maximum number per route. Default: 100.", HelpName = "N" };
        Option<bool> json = QueueCommand.JsonOption();
        var command = new Command(
            "dead",
            """
            Lists dead letters: id, route, attempts and the last error.

            Example:
              otto queue dead photos --json | jq -r .reason | sort | uniq -c
            """) { name, max, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            string wanted = parsed.GetValue(name)!;
            int most = QueueTarget.Number(parsed.GetValue(max), "--max", 1, 10_000) ?? 100;
            if (!place.Exists(parsed, wanted)) return QueueCommand.Absent(wanted);
            await using TaskQueue queue = place.Open(parsed, wanted);
            foreach (DeadLetteredTask dead in await queue.DeadLetters.ListAsync(wanted, most, stop))
            {
                if (parsed.GetValue(json))
                    QueueCommand.Print(new DeadLine(dead.Id.ToString(), dead.Queue, dead.Route.ToString(), dead.Name, dead.Attempts,
                        dead.Reason, dead.Payload.Length));
                else Console.WriteLine(
                    string.Create(CultureInfo.InvariantCulture,
                        $"{dead.Id} {dead.Route} {dead.Name}, {dead.Attempts} attempts: {dead.Reason}"));
            }

            return ExitCode.Done;
        });
        return command;
    }

    public static Command CreateMove(string verb, string what,
        Func<TaskDeadLetters, DeadLetteredTask, CancellationToken, ValueTask<bool>> move)
    {
        Argument<string> name = QueueCommand.NameArgument();
        var ids = new Argument<string[]>("ID") { Description = "Ids, as printed by otto queue dead.", Arity = ArgumentArity.ZeroOrMore };
        var all = new Option<bool>("--all") { Description = "All of them." };
        Option<bool> json = QueueCommand.JsonOption();
        var command = new Command(
            verb,
            $"""
            {what} Prints how many; an id that is not among them is code 1.

            Example:
              otto queue {verb} photos --all
            """) { name, ids, all, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            string wanted = parsed.GetValue(name)!;
            HashSet<string> which = [.. parsed.GetValue(ids) ?? []];
            bool every = parsed.GetValue(all);
            if (every == which.Count > 0)
                throw new ArgumentException($"name the tasks to {verb} by their ids, or pass --all, but not both");
            if (!place.Exists(parsed, wanted)) return QueueCommand.Absent(wanted);
            await using TaskQueue queue = place.Open(parsed, wanted);
            int moved = 0;
            while (true)
            {
                int before = moved;
                IReadOnlyList<DeadLetteredTask> dead = await queue.DeadLetters.ListAsync(wanted, MostAtOnce, stop);
                foreach (DeadLetteredTask task in dead)
                    if ((every || which.Remove(task.Id.ToString())) && await move(queue.DeadLetters, task, stop)) moved++;
                // One that was requeued may have been given up again already: once through what there was is enough.
                if (!every || moved == before || dead.Count < MostAtOnce) break;
            }

            if (parsed.GetValue(json)) QueueCommand.Print(new MovedLine(wanted, verb, moved, [.. which]));
            else Console.WriteLine(moved.ToString(CultureInfo.InvariantCulture));
            foreach (string id in which) Console.Error.WriteLine($"otto: no dead letter {id} in queue '{wanted}'");
            return which.Count == 0 ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }
}
