using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using Otto.Tools.Queue;
using Spectre.Console;

namespace Otto.Tools.Top;

// otto top: what the queues hold and how fast they move, look after look, until Ctrl-C.

internal static class TopCommand
{
    private const double ShortestInterval = 0.05, LongestInterval = 3600;

    public static Command Create()
    {
        var name = new Argument<string?>("NAME") { Description = "Only this queue.", Arity = ArgumentArity.ZeroOrOne };
        var interval = new Option<string?>("--interval") { Description = "Seconds between refreshes. Default: 1.", HelpName = "SECONDS" };
        var count = new Option<string?>("--count") { Description = "Exit after this many refreshes. Default: run until Ctrl-C.",
            HelpName = "N" };
        var socket = new Option<string?>("--socket") { Description = "The socket server that receives progress from scripts. Default: "
            + "OTTO_SOCKET, otherwise the user's default server if it runs.", HelpName = "PATH" };
        Option<bool> json = QueueCommand.JsonOption();
        var command = new Command(
            "top",
            """
            Shows the queues of this machine and of a Redis server live: workers, tasks by state, the age of the oldest task,
            tasks in and out per second, and reported progress. Tasks that never leave a process are not visible.

            Example:
              otto top --redis localhost:6379
              otto top photos --json --count 10 --interval 0.5 | jq .queues[].ready
            """) { name, interval, count, socket, json };
        QueueTarget place = new QueueTarget(command, withFormat: false);
        QueueCommand.SetAction(command, async (parsed, stop) =>
        {
            TimeSpan pause = QueueTarget.Seconds(parsed.GetValue(interval), "--interval") ?? TimeSpan.FromSeconds(1);
            if (pause.TotalSeconds is < ShortestInterval or > LongestInterval)
                throw new ArgumentException(
                    $"--interval must be {ShortestInterval} to {LongestInterval:N0} seconds: '{parsed.GetValue(interval)}'");
            int looks = QueueTarget.Number(parsed.GetValue(count), "--count", 1, int.MaxValue) ?? int.MaxValue;
            using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
            using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End),
                terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
            await using TopCollector top =
                new TopCollector(place.Directory(parsed), place.Redis(parsed), place.Prefix(parsed), parsed.GetValue(socket),
                    parsed.GetValue(name));
            try
            {
                if (parsed.GetValue(json))
                    await EachAsync(top, looks, pause,
                        static snapshot => Console.WriteLine(JsonSerializer.Serialize(snapshot, TopJson.Default.TopSnapshot)), ended.Token);
                else if (Console.IsOutputRedirected)
                {
                    AnsiConsole.Profile.Width = 240;
                    await EachAsync(top, looks, pause, static snapshot => AnsiConsole.Write(TopScreen.Draw(snapshot)), ended.Token);
                }
                else
                {
                    await AnsiConsole.Live(new Text("")).StartAsync(
                        screen => EachAsync(top, looks, pause, snapshot => screen.UpdateTarget(TopScreen.Draw(snapshot)), ended.Token));
                }
            }
            catch (OperationCanceledException) when (ended.IsCancellationRequested)
            {
                // Ctrl-C is how it ends.
            }

            return ExitCode.Done;

            void End(PosixSignalContext signal)
            {
                signal.Cancel = !ended.IsCancellationRequested; // A second one ends the program.
                ended.Cancel();
            }
        });
        return command;
    }

    private static async Task EachAsync(TopCollector top, int looks, TimeSpan pause, Action<TopSnapshot> show, CancellationToken stop)
    {
        for (int i = 0; i < looks; i++)
        {
            if (i > 0) await Task.Delay(pause, stop);
            show(await top.LookAsync(stop));
        }
    }
}
