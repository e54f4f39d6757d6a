using System.ComponentModel;
using System.Diagnostics;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Tools.Pipe;

// Starts the programs, tells the relay when each has ended, and sums up how it went. Consumers are started first: one that cannot be
// started stops everything before a producer has done any work.

internal static class PipeRun
{
    private const int RelayFailed = 125;

    public static async Task<int> RunAsync(List<string[]> producers, List<string[]> consumers, FifoRelayOptions options)
    {
        foreach (string[] command in consumers.Concat(producers))
        {
            if (ExecutableLookup.Problem(command[0]) is not { } problem) continue;
            Console.Error.WriteLine($"otto: {problem.Words}");
            return problem.IsMissing ? ExitCode.NotFound : ExitCode.NotExecutable;
        }

        await using var relay = new FifoRelay(options);
        using ChildProcesses children = new ChildProcesses();
        List<Task<int>> consuming = [], producing = [];
        int startFailure = 0;
        try
        {
            // Nothing is passed on until all are started: while children are made, this process too would die of a broken pipe.
            using (new BrokenPipeSignal())
            {
                foreach (string[] command in consumers)
                    consuming.Add(FollowAsync(children.Start(command, "OTTO_INPUT_PIPE", relay.InputPipes[consuming.Count]),
                        relay.ConsumerEnded, consuming.Count));
                foreach (string[] command in producers)
                    producing.Add(FollowAsync(children.Start(command, "OTTO_OUTPUT_PIPE", relay.OutputPipes[producing.Count]),
                        relay.ProducerEnded, producing.Count));
            }
        }
        catch (Win32Exception e)
        {
            Console.Error.WriteLine($"otto: {e.Message}");
            startFailure = ExitCode.NotExecutable;
            for (int i = consuming.Count; i < consumers.Count; i++) relay.ConsumerEnded(i);
            for (int i = producing.Count; i < producers.Count; i++) relay.ProducerEnded(i);
            children.Terminate();
        }

        Task<FifoRelayReport> relaying = relay.RunAsync();
        int[] codes = await Task.WhenAll(producing.Concat(consuming));
        return startFailure != 0 ? startFailure : await SumUpAsync(codes, producing.Count, relaying);
    }

    private static async Task<int> SumUpAsync(int[] codes, int producers, Task<FifoRelayReport> relaying)
    {
        FifoRelayReport report;
        try
        {
            report = await relaying;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"otto: {e.Message}");
            return RelayFailed;
        }

        foreach (string error in report.Errors) Console.Error.WriteLine($"otto: {error}");
        for (int i = codes.Length - 1; i >= 0; i--)
        {
            bool turnedAway = i < producers && codes[i] == BrokenPipeSignal.ExitCode && report.ConsumersLeft;
            if (codes[i] != 0 && !turnedAway) return codes[i];
        }

        return report.Errors.Count > 0 ? ExitCode.Failed : ExitCode.Done;
    }

    private static async Task<int> FollowAsync(Process child, Action<int> ended, int index)
    {
        await child.WaitForExitAsync();
        ended(index);
        return child.ExitCode;
    }
}
