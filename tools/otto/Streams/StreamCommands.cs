using System.CommandLine;
using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Hosting;
using Otto.Ipc.Mmap;

namespace Otto.Tools.Streams;

// otto send, otto recv: a stream over any transport, from and to a shell's pipe.

internal static class StreamCommands
{
    public static Command CreateSend()
    {
        Argument<string> channel = ChannelArgument();
        Option<string?> transport = TransportOption(), timeout = TimeoutOption("Seconds to wait for space for a message, and for a "
            + "receiver if the transport keeps no messages without one (uds:). Default: no limit.");
        var raw = new Option<bool>("--raw")
            { Description = "Send all of standard input as one binary message instead of one message per line." };
        Option<bool> nullSeparated = LineInput.NullOption("A zero byte ends each message, not a line end: for find -print0.");
        var end = new Option<bool>("--end")
            { Description = "Mark this sender as complete, so that the receiver ends when it has read everything." };
        var command = new Command(
            "send",
            """
            Sends standard input to a stream, one message per line, or per zero byte with --null.

            Example:
              tail -F log | otto send lines
              otto send frames --raw --end < picture.jpg
            """) { channel, transport, raw, end, timeout, nullSeparated };
        command.SetAction(parsed =>
        {
            using MessageSender sender =
                Open(parsed.GetValue(transport), t => t.OpenSenderAsync(new ChannelName(parsed.GetValue(channel)!)));
            TimeSpan limit = Seconds(parsed.GetValue(timeout));
            LineInput input = new LineInput(parsed.GetValue(nullSeparated));
            if (parsed.GetValue(raw) && parsed.GetValue(nullSeparated)) throw RawAndNull();
            if (parsed.GetValue(raw)) Send(sender, input.ReadAll().Span, limit);
            else
                while (input.TryReadLine(out ReadOnlyMemory<byte> line)) Send(sender, line.Span, limit);
            if (parsed.GetValue(end)) sender.Complete();
            Flush(sender, limit);
            return ExitCode.Done;
        });
        return command;
    }

    public static Command CreateReceive()
    {
        Argument<string> channel = ChannelArgument();
        Option<string?> transport = TransportOption(),
            timeout = TimeoutOption("Seconds to wait for a message; exit code 124 if none arrives. Default: no limit.");
        var raw = new Option<bool>("--raw") { Description = "Print one message as raw bytes and exit." };
        Option<bool> nullSeparated = LineInput.NullOption("Print a zero byte after each message: for xargs -0.");
        var count = new Option<string?>("--count") { Description = "Exit after this many messages.", HelpName = "N" };
        var command = new Command(
            "recv",
            """
            Prints the messages of a stream, one per line, until every sender has completed. A message counts as read when it
            has been printed: the next receiver gets what a killed otto recv had not printed.

            Example:
              otto recv lines | while IFS= read -r line; do printf '%s\n' "$line"; done
              otto recv frames --raw > picture.jpg
            """) { channel, transport, raw, count, timeout, nullSeparated };
        command.SetAction(parsed =>
        {
            bool one = parsed.GetValue(raw);
            byte[] end = parsed.GetValue(nullSeparated) ? [0] : "\n"u8.ToArray();
            if (one && parsed.GetValue(nullSeparated)) throw RawAndNull();
            long left = one ? 1 : Count(parsed.GetValue(count));
            TimeSpan limit = Seconds(parsed.GetValue(timeout));
            using MessageReceiver receiver =
                Open(parsed.GetValue(transport), t => t.OpenReceiverAsync(new ChannelName(parsed.GetValue(channel)!)));
            while (left > 0)
            {
                if (!receiver.TryReceive(out ReadLease lease))
                {
                    if (receiver.IsCompleted) return one ? ExitCode.Failed : ExitCode.Done;
                    if (receiver.WaitToReceive(limit) || receiver.IsCompleted) continue;
                    if (limit == Timeout.InfiniteTimeSpan) continue;
                    Console.Error.WriteLine(
                        string.Create(CultureInfo.InvariantCulture, $"otto: no message arrived within {limit.TotalSeconds:0.###} s"));
                    return ExitCode.TimedOut;
                }

                if (one) StandardOutput.Write(lease.Bytes);
                else StandardOutput.Write(lease.Bytes, end);
                lease.Dispose();
                left--;
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static void Send(MessageSender sender, ReadOnlySpan<byte> message, TimeSpan timeout)
    {
        if (message.Length > sender.MaxMessageBytes)
        {
            if (TryLend(sender, message, timeout)) return;
            throw new MessageTooLargeException(string.Create(CultureInfo.InvariantCulture,
                $"message of {message.Length:N0} bytes exceeds the limit of {sender.MaxMessageBytes:N0} of this stream; use --transport "
                + $"mmap: on both sides, which takes {MmapQueueOptions.DefaultMaxLoanBytes:N0}, split the message, or send the name of a "
                + $"file"));
        }

        while (!sender.TrySend(message))
        {
            if (!sender.WaitToSend(message.Length, timeout)) throw NoRoom(timeout);
        }
    }

    /// <summary>Stays as long as what was sent needs this process.</summary>
    private static void Flush(MessageSender sender, TimeSpan timeout)
    {
        using var stop = new CancellationTokenSource(timeout);
        try
        {
            sender.FlushAsync(stop.Token).AsTask().GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"no receiver read what was sent within "
                + $"{timeout.TotalSeconds:0.###} s, and this transport keeps no message without its sender"));
        }
    }

    /// <summary>Sends what is too large for a frame by a block, where the transport lends any.</summary>
    private static bool TryLend(MessageSender sender, ReadOnlySpan<byte> message, TimeSpan timeout)
    {
        try
        {
            Loan loan;
            while (!sender.TryLoan(message.Length, out loan))
            {
                // All blocks are out; each message that is read brings one back, and with it room for a frame.
                if (!sender.WaitToSend(sender.MaxMessageBytes, timeout)) throw NoRoom(timeout);
                Thread.Sleep(1);
            }

            message.CopyTo(loan.Span);
            while (!sender.TrySend(loan, message.Length))
            {
                if (!sender.WaitToSend(64, timeout)) throw NoRoom(timeout);
            }

            return true;
        }
        catch (NotSupportedException)
        {
            return false;
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new MessageTooLargeException(string.Create(CultureInfo.InvariantCulture,
                $"message of {message.Length:N0} bytes exceeds the limit of {MmapQueueOptions.DefaultMaxLoanBytes:N0}; split it, or send "
                + $"the name of a file"));
        }
    }

    private static T Open<T>(string? address, Func<IStreamTransport, ValueTask<T>> open)
    {
        var options = new OttoIpcOptions();
        ITransport transport = address is null ? OttoTransport.Open(options) : OttoTransport.Open(address);
        return open(transport.Require<IStreamTransport>()).AsTask().GetAwaiter().GetResult();
    }

    private static ArgumentException RawAndNull() => new("pass --raw or --null, but not both");

    private static TimeoutException NoRoom(TimeSpan timeout) =>
        new(string.Create(CultureInfo.InvariantCulture,
            $"there was no space for a message for {timeout.TotalSeconds:0.###} s; is a receiver running?"));

    private static Argument<string> ChannelArgument() => new("CHANNEL") { Description = "The stream's name." };

    private static Option<string?> TransportOption() => new("--transport")
    {
        Description = "Which transport, and where: mmap:, uds:, fifo:, files:, or one of them with a full path, as in files:///srv/run. "
        + "Default: OTTO_TRANSPORT, else mmap:.",
        HelpName = "ADDRESS",
    };

    // All strings: the parser's generic code over numbers would have to be compiled at each start.
    private static Option<string?> TimeoutOption(string description) =>
        new("--timeout") { Description = description, HelpName = "SECONDS" };

    private static TimeSpan Seconds(string? text) => text is null ? Timeout.InfiniteTimeSpan
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= 1e6
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--timeout must be 0 to 1,000,000 seconds: '{text}'");

    private static long Count(string? text) => text is null ? long.MaxValue
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long count) && count > 0 ? count
        : throw new ArgumentException($"--count must be 1 or more: '{text}'");
}
