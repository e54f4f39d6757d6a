using System.CommandLine;
using Otto.Ipc.Fifo;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Tools.Pipe;

// otto pipe: programs that only open a path, joined by a relay that knows when they end.

internal static class PipeCommand
{
    private const string Between = ":::", Beside = ":+:";

    public static Command Create()
    {
        var commands = new Argument<string[]>("COMMANDS") { Arity = ArgumentArity.OneOrMore };
        commands.Description = "PRODUCER… ::: CONSUMER…, after --. Separate several commands on one side by :+:.";
        var directory = new Option<string?>("--dir") { HelpName = "DIR" };
        directory.Description = "Directory for the FIFOs. Default: OTTO_FIFO_DIR, else $XDG_RUNTIME_DIR/otto, else /tmp/otto-<uid>.";
        var frames = new Option<string?>("--frames") { HelpName = "KIND" };
        frames.Description = "What is kept together when several producers are merged: lines (default) or length-prefixed frames.";
        var untilClosed = new Option<bool>("--until-closed");
        untilClosed.Description = "Keep a side until every process has closed its FIFO, not only until its program exits.";
        var command = new Command(
            "pipe",
            """
            Starts a producer and a consumer, copies what the producer writes to $OTTO_OUTPUT_PIPE into the consumer's
            $OTTO_INPUT_PIPE, and returns when both have ended. The producer may open its FIFO any number of times; the
            consumer reads the end of file when the producer has ended. If the consumer exits early, SIGPIPE ends a producer
            that still writes. Every consumer receives everything. Lines of several producers are never mixed.

            Exit code: the code of the rightmost command that failed, or 128 plus the signal number if a signal ended it. A
            producer that SIGPIPE ended after its consumers had exited has not failed. 1 if a frame was truncated, 125 if the
            relay failed, 126 or 127 if a command could not be started or found, 2 for usage.

            Example:
              otto pipe -- sh -c 'for i in 1 2 3; do echo "$i" > "$OTTO_OUTPUT_PIPE"; done' \
                ::: sh -c 'while read -r line; do echo "got $line"; done < "$OTTO_INPUT_PIPE"'
            """) { commands, directory, frames, untilClosed };
        command.SetAction((parsed, _) =>
        {
            (List<string[]> producers, List<string[]> consumers) = Sides(parsed.GetValue(commands)!);
            return PipeRun.RunAsync(producers, consumers, new FifoRelayOptions
            {
                Directory = parsed.GetValue(directory),
                Framing = Framing(parsed.GetValue(frames)),
                UntilClosed = parsed.GetValue(untilClosed),
                Producers = producers.Count,
                Consumers = consumers.Count,
            });
        });
        return command;
    }

    private static (List<string[]> Producers, List<string[]> Consumers) Sides(string[] words)
    {
        List<string[]> sides = Split(words, Between);
        if (sides.Count != 2)
        {
            throw new ArgumentException(
                $"PRODUCER… {Between} CONSUMER… must contain {Between} exactly once, not {sides.Count - 1} times. For a longer chain, let "
                + $"the consumer be "
                + $"another otto pipe; a command that needs {Between} itself goes into sh -c '…'");
        }

        List<string[]> producers = Split(sides[0], Beside), consumers = Split(sides[1], Beside);
        return producers.Concat(consumers).All(command => command.Length > 0 && command[0].Length > 0)
            ? (producers, consumers)
            : throw new ArgumentException($"a command is missing before or after {Between} or {Beside}");
    }

    private static List<string[]> Split(string[] words, string separator)
    {
        List<string[]> parts = [];
        for (int start = 0; start <= words.Length;)
        {
            int end = Array.IndexOf(words, separator, start);
            end = end < 0 ? words.Length : end;
            parts.Add(words[start..end]);
            start = end + 1;
        }

        return parts;
    }

    private static FifoFraming Framing(string? text) => text switch
    {
        null or "lines" => FifoFraming.Lines,
        "length-prefixed" => FifoFraming.LengthPrefixed,
        _ => throw new ArgumentException($"--frames must be lines or length-prefixed: '{text}'"),
    };
}
