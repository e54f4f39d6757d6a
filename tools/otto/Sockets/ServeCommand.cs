using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Otto.Ipc.Uds;

namespace Otto.Tools.Sockets;

// otto serve: the server, until it is told to stop.

internal static class ServeCommand
{
    public static Command Create()
    {
        // All strings: the parser's generic code over numbers would have to be compiled at each start.
        Option<string?> Bound(string name, string description) => new(name) { Description = description, HelpName = "N" };
        var socket = new Option<string?>("--socket") { Description = "The socket's path. Default: OTTO_SOCKET, else otto/otto.sock in XDG_RUNTIME_DIR, else /tmp/otto-<uid>/otto.sock.", HelpName = "PATH" };
        Option<string?> connections = Bound("--max-connections", "Clients at once (default 16384)."), value = Bound("--max-value", "Bytes of a value or a message, K and M allowed (default 1M)."),
            total = Bound("--max-total", "Bytes of keys and values together, K, M and G allowed (default 256M)."), buffered = Bound("--max-buffered", "Bytes that wait in all connections together (default 512M); from three quarters on, who has answers to read is given no others."),
            unread = Bound("--max-unread", "Bytes of answers that one client may leave unread (default 32M)."), depth = Bound("--max-pipeline", "Answers that one client may leave unread (default 100000).");
        var slow = new Option<string?>("--slow-after") { Description = "How long a subscriber may read nothing, and any client where memory is short (default 10).", HelpName = "SECONDS" };
        var close = new Option<bool>("--close-after-answer") { Description = "Close a text connection after an answer and a second of silence, for scripts with a netcat that never closes." };
        var newline = new Option<bool>("--newline-required") { Description = "Do not answer a first command that comes without a newline." };
        var json = new Option<bool>("--json") { Description = "Print the address as one JSON object." };
        var command = new Command(
            "serve",
            """
            Serves a store, topics and progress on a socket of this user's, and prints its address when it is ready. Ends with Ctrl-C or a polite
            kill; what was stored is gone then. A second server for the same socket ends with code 4 and names the first.

            Example:
              export OTTO_SOCKET=$XDG_RUNTIME_DIR/otto/otto.sock
              otto serve &
              printf 'SET step "compile"\nGET step\nQUIT\n' | nc -U "$OTTO_SOCKET"
            """) { socket, connections, value, total, buffered, unread, depth, slow, close, newline, json };
        command.SetAction((parsed, _) => SocketChoice.ReportAsync("otto", () => ServeAsync(
            new UdsServerOptions
            {
                SocketPath = parsed.GetValue(socket),
                MaxConnections = (int)Number(parsed, connections, 16_384),
                MaxValueBytes = (int)Number(parsed, value, 1 << 20),
                MaxTotalBytes = Number(parsed, total, 256L << 20, long.MaxValue),
                MaxBufferedBytes = Number(parsed, buffered, 512L << 20, long.MaxValue),
                MaxUnreadBytes = (int)Number(parsed, unread, 32 << 20),
                MaxPipelineDepth = (int)Number(parsed, depth, 100_000),
                SlowSubscriberTimeout = parsed.GetValue(slow) is { } seconds ? Seconds(seconds) : TimeSpan.FromSeconds(10),
                CloseAfterAnswer = parsed.GetValue(close),
                AnswerFirstCommandWithoutNewline = !parsed.GetValue(newline),
            },
            parsed.GetValue(json))));
        return command;
    }

    private static async Task<int> ServeAsync(UdsServerOptions options, bool json)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stopped.TrySetResult();
        }

        using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration onHangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        await using UdsServer server = UdsServer.Start(options);
        if (json)
        {
            ValueText.PrintJson(writer =>
            {
                writer.WriteString("socket", server.SocketPath);
                writer.WriteNumber("pid", Environment.ProcessId);
            });
        }
        else
        {
            StandardOutput.WriteLine(Encoding.UTF8.GetBytes(server.SocketPath));
        }

        await await Task.WhenAny(stopped.Task, server.Completion);
        return ExitCode.Done;
    }

    private static long Number(ParseResult parsed, Option<string?> option, long usual, long most = int.MaxValue)
    {
        if (parsed.GetValue(option) is not { } text) return usual;
        int shift = text.Length == 0 ? 0 : text[^1] switch { 'K' or 'k' => 10, 'M' or 'm' => 20, 'G' or 'g' => 30, _ => 0 };
        return long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number <= most >> shift
            ? number << shift
            : throw new ArgumentException($"{option.Name} must be a number, K, M and G allowed: '{text}'");
    }

    private static TimeSpan Seconds(string text) => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= 86_400
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--slow-after must be 0.01 to 86,400 seconds: '{text}'");
}
