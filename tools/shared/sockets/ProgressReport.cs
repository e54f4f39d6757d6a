using System.CommandLine;
using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Uds;

namespace Otto.Tools.Server;

// otto progress and otto-progress: a line in a script that must cost it nothing where nobody listens. The last update of a task is the one
// that people look at, so that one is tried again until the server has it; a socket without a server, or the lock beside it, says that one
// may be about to start again. Where none came the exit code says that the update was lost.

internal static class ProgressReport
{
    // A server on a busy machine may take several seconds to start.
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(5), UsualLast = TimeSpan.FromSeconds(15),
        Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Makes a command of <paramref name="command"/>.</summary>
    public static void Build(string tool, Command command)
    {
        var current = new Argument<string>("CUR") { Description = "How much is done, a number." };
        var total = new Argument<string>("TOTAL") { Description = "Of how much; - where that is not known." };
        var text = new Argument<string[]>("MSG") { Description = "What is being done, for people.", Arity = ArgumentArity.ZeroOrMore };
        var task = new Option<string?>("--task") { Description = "The task. Default: OTTO_TASK_NAME, else OTTO_TASK.", HelpName = "TASK" };
        SocketOption choice = new SocketOption(command, "How long to try (default 5; 15 for a last update).", null);
        command.Add(current);
        command.Add(total);
        command.Add(text);
        command.Add(task);
        command.SetAction((parsed, _) => SocketOption.ReportAsync(tool, async () =>
        {
            double done = Number(parsed.GetValue(current)!, "CUR");
            double? all = parsed.GetValue(total) == "-" ? null : Number(parsed.GetValue(total)!, "TOTAL");
            string words = string.Join(' ', parsed.GetValue(text) ?? []).ReplaceLineEndings(" ");
            try
            {
                TimeSpan limit = choice.Timeout(parsed) ?? (all <= done ? UsualLast : Usual);
                await using UdsClient client = choice.Client(parsed);
                return await SocketOption.WithinAsync(limit, async stop => all <= done
                    ? await SendLastAsync(tool, client, parsed.GetValue(task), done, all, words, limit, stop)
                    : await SendAsync(client, parsed.GetValue(task), done, all, words, stop));
            }
            catch (ServerNotFoundException)
            {
                return ExitCode.Done;
            }
        }));
    }

    private static async Task<int> SendAsync(UdsClient client, string? task, double done, double? all, string words, CancellationToken stop)
    {
        // Without a server nothing is wrong, not even that no task is named.
        await client.HelloAsync(stop);
        var name = new ChannelName(
            task ?? Named("OTTO_TASK_NAME")
            ?? Named("OTTO_TASK") ?? throw new ArgumentException("no task is named; set OTTO_TASK_NAME, or pass --task NAME"));
        await client.ProgressAsync(name, done, all, words.Length == 0 ? null : words, stop);
        return ExitCode.Done;
    }

    /// <summary>Sends the final update, again and again as long as it may take; telling it
    /// twice does no harm.</summary>
    private static async Task<int> SendLastAsync(string tool, UdsClient client, string? task, double done, double? all, string words,
        TimeSpan limit, CancellationToken stop)
    {
        bool seen = false;
        IOException? failure = null;
        do
        {
            try
            {
                return await SendAsync(client, task, done, all, words, stop);
            }
            catch (ServerNotFoundException e) when (seen || HasTrace(client.SocketPath))
            {
                failure = e;
                seen = true;
            }
            catch (IOException e) when (e is not (ServerNotFoundException or ServerRefusedException { Code: not "BUSY" }))
            {
                failure = e;
                // A server that was there a moment ago may be about to start again.
                seen = true;
            }
            catch (OperationCanceledException) when (failure is not null)
            {
                // Its words say more than that the time is over.
                break;
            }

            await Task.Delay(Pause, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        while (!stop.IsCancellationRequested);
        if (failure is not ServerNotFoundException) throw failure;
        await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{tool}: the last update was lost: no server answered within {limit.TotalSeconds:0.###} s; {failure.Message}"));
        return ExitCode.NoServer;
    }

    // What a server leaves that was killed, or makes while it starts.
    private static bool HasTrace(string socket) => File.Exists(socket) || File.Exists(socket + ".lock");

    private static string? Named(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;

    private static double Number(string text, string what) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture,
            out double number) && double.IsFinite(number)
            ? number
            : throw new ArgumentException($"{what} must be a number: '{text}'");
}
