using Otto.Tools.KeyValue;
using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Otto.Ipc.Uds;

namespace Otto.Tools.Server;

// otto serve: the server, until it is told to stop.

internal static class ServeCommand
{
    public static Command Create()
    {
        // All strings: the parser's generic code over numbers would have to be compiled at each start.
        Option<string?> Bound(string name, string description) => new(name) { Description = description, HelpName = "N" };
        UdsServerOptions usual = new();
        var socket = new Option<string?>("--socket")
        {
            Description = "The socket's path. Default: OTTO_SOCKET, else otto/otto.sock in XDG_RUNTIME_DIR, else "
                + "/tmp/otto-<uid>/otto.sock.",
            HelpName = "PATH",
        };
        Option<string?> connections = Bound("--max-connections", "Maximum number of clients (default 16384)."),
            value = Bound("--max-value", "Maximum bytes of a value or message; K and M are accepted (default 1M)."),
            total = Bound("--max-total", "Maximum bytes of all keys and values; K, M and G are accepted (default 256M, a quarter "
            + "of the memory at most)."),
            buffered = Bound("--max-buffered", "Maximum bytes buffered for all connections (default 512M, a "
            + "fifth of the memory at most). Above three quarters, a "
            + "client with unread answers receives no new ones."),
            unread = Bound("--max-unread", "Maximum bytes of unread answers per client (default 32M)."),
            depth = Bound("--max-pipeline", "Maximum number of unread answers per client (default 100000).");
        var slow = new Option<string?>("--slow-after")
        {
            Description = "Seconds before a subscriber that does not read is disconnected, and any client when memory is low (default 10).",
            HelpName = "SECONDS",
        };
        var close = new Option<bool>("--close-after-answer")
            { Description = "Close a text connection one second after its last answer, for netcat versions that never close." };
        var newline = new Option<bool>("--newline-required") { Description = "Require a newline after the first command." };
        var json = new Option<bool>("--json") { Description = "Print the address as one JSON object." };
        var command = new Command(
            "serve",
            """
            Serves a store, topics and progress on a Unix socket of the current user, and prints its address when it is ready.
            Ctrl-C or SIGTERM ends it, and stored values are lost. A second server for the same socket exits with 4 and names
            the first. Standard error has a line for each client that the server rejects, or closes because of an error or
            because it does not read.
            Started by a systemd .socket unit (LISTEN_FDS), it serves the socket that it is given.

            Example:
              export OTTO_SOCKET=$XDG_RUNTIME_DIR/otto/otto.sock
              otto serve &
              printf 'SET step "compile"\nGET step\nQUIT\n' | nc -U "$OTTO_SOCKET"
            """) { socket, connections, value, total, buffered, unread, depth, slow, close, newline, json };
        command.SetAction((parsed, _) => SocketOption.ReportAsync("otto", () => ServeAsync(
            new UdsServerOptions
            {
                SocketPath = parsed.GetValue(socket),
                ListenDescriptor = PassedSocket.Find(),
                MaxConnections = (int)Number(parsed, connections, 16_384),
                MaxValueBytes = (int)Number(parsed, value, 1 << 20),
                MaxTotalBytes = Number(parsed, total, usual.MaxTotalBytes, long.MaxValue),
                MaxBufferedBytes = Number(parsed, buffered, usual.MaxBufferedBytes, long.MaxValue),
                MaxUnreadBytes = (int)Number(parsed, unread, 32 << 20),
                MaxPipelineDepth = (int)Number(parsed, depth, 100_000),
                SlowSubscriberTimeout = parsed.GetValue(slow) is { } seconds ? Seconds(seconds) : TimeSpan.FromSeconds(10),
                CloseAfterAnswer = parsed.GetValue(close),
                AnswerFirstCommandWithoutNewline = !parsed.GetValue(newline),
                LoggerFactory = new StandardErrorLog(Console.Error),
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
        return long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && number <= most >> shift
            ? number << shift
            : throw new ArgumentException($"{option.Name} must be a number, K, M and G allowed: '{text}'");
    }

    private static TimeSpan Seconds(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= 86_400
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--slow-after must be 0.01 to 86,400 seconds: '{text}'");
}
