using System.CommandLine;
using System.Globalization;
using System.Net.Sockets;
using Otto.Ipc.Uds;

namespace Otto.Tools.Server;

// The options by which every command for the server says where it is and how long it may take, and what its failures mean to a script.

internal sealed class SocketOption
{
    private const int LongestTimeout = 10_000_000;

    // All strings: the parser's generic code over numbers would have to be compiled at each start.
    private readonly Option<string?> _socket =
        new("--socket") { Description =
        "The server's socket. Default: OTTO_SOCKET, else otto/otto.sock in XDG_RUNTIME_DIR, else /tmp/otto-<uid>/otto.sock.",
        HelpName = "PATH" };
    private readonly Option<string?> _timeout;
    private readonly TimeSpan? _usual;

    public SocketOption(Command command, string timeoutDescription, TimeSpan? usualTimeout)
    {
        _timeout = new Option<string?>("--timeout") { Description = timeoutDescription, HelpName = "SECONDS" };
        _usual = usualTimeout;
        command.Add(_socket);
        command.Add(_timeout);
    }

    public TimeSpan? Timeout(ParseResult parsed) => parsed.GetValue(_timeout) is { } seconds ? ParseSeconds(seconds) : _usual;

    public string? Path(ParseResult parsed) => parsed.GetValue(_socket);

    /// <summary>A client of the server that was named here, or else.</summary>
    public UdsClient Client(ParseResult parsed, string? otherPath = null) =>
        new(new UdsTransportOptions { SocketPath = otherPath ?? Path(parsed), ConnectTimeout = TimeSpan.Zero });

    /// <summary>Runs what talks to the server, and no longer than it may.</summary>
    public Task<int> RunAsync(ParseResult parsed, Func<UdsClient, CancellationToken, Task<int>> work, string? otherPath = null) =>
        WithinAsync(Timeout(parsed), async stop =>
    {
        await using UdsClient client = Client(parsed, otherPath);
        return await work(client, stop);
    });

    /// <summary>Waits for what the server is asked, and no longer than it may take;
    /// <see langword="null"/> for as long as it takes.</summary>
    public static async Task<T> WithinAsync<T>(TimeSpan? limit, Func<CancellationToken, ValueTask<T>> ask)
    {
        using var stop = new CancellationTokenSource();
        if (limit is { } most) stop.CancelAfter(most);
        try
        {
            return await ask(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw new TimeoutException($"the server did not answer within {limit!.Value.TotalSeconds:0.###} s");
        }
    }

    /// <summary>One line on stderr and an exit code, for what only servers do.</summary>
    public static async Task<int> ReportAsync(string tool, Func<Task<int>> run)
    {
        try
        {
            return await run();
        }
        catch (Exception e) when (Code(e) is { } code)
        {
            await Console.Error.WriteLineAsync($"{tool}: {e.Message}");
            return code;
        }
    }

    private static int? Code(Exception error) => error switch
    {
        ServerNotFoundException => ExitCode.NoServer,
        SocketInUseException => ExitCode.Denied,
        ServerRefusedException { Code: "TOOBIG" or "BUSY" } => ExitCode.Full,
        SocketException => ExitCode.Failed,
        _ => null,
    };

    private static TimeSpan ParseSeconds(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= LongestTimeout
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--timeout must be 0 to {LongestTimeout} seconds: '{text}'");
}
