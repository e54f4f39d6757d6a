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
        commands.Description = "PRODUCER… ::: CONSUMER…, after --. Several on a side are separated by :+:.";
        var directory = new Option<string?>("--dir") { HelpName = "DIR" };
        directory.Description = "Where the FIFOs are made. Default: OTTO_FIFO_DIR, else $XDG_RUNTIME_DIR/otto, else /tmp/otto-<uid>.";
        var frames = new Option<string?>("--frames") { HelpName = "KIND" };
        frames.Description = "What stays whole where several producers are merged: lines (default), or length-prefixed.";
        var untilClosed = new Option<bool>("--until-closed");
        untilClosed.Description = "A side lasts until every process that has its FIFO open has closed it, and not only until its program ends.";
        var command = new Command(
            "pipe",
            """
            Starts a producer and a consumer, passes on what the one writes into $OTTO_OUTPUT_PIPE to the other's $OTTO_INPUT_PIPE, and
            returns when both have ended. The producer may open its FIFO as often as it likes; the consumer finds the end when the
            producer has ended. A consumer that leaves early ends a producer that goes on writing, by SIGPIPE. Every consumer gets
            everything; the lines of several producers stay whole.

            Exit code: that of the rightmost command that failed, 128 and the signal's number where one ended it; but a producer that
            SIGPIPE ended after its consumers had left has not failed. 1 where a frame was cut, 125 where the relay failed, 126 and 127
            where a command could not be started or found, 2 for usage.

            Example:
              otto pipe -- sh -c 'for i in 1 2 3; do echo "$i" > "$OTTO_OUTPUT_PIPE"; done' ::: sh -c 'while read -r line; do echo "got $line"; done < "$OTTO_INPUT_PIPE"'
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
                $"PRODUCER… {Between} CONSUMER… has {Between} once, and here it stands {sides.Count - 1} times. For a longer chain, let the consumer be "
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
