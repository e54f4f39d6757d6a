using System.CommandLine;
using Otto.Ipc;
using Otto.Ipc.Hosting;
using Otto.Ipc.Uds;
using Otto.Tools.Server;

namespace Otto.Tools.KeyValue;

// Where a store command looks: at the server of sockets, or where --transport says.

internal sealed class StoreOptions
{
    private readonly Option<string?> _transport = new("--transport")
    {
        Description = "Another place than the server: files: or mmap:, or one of them with a full path, as in files:///srv/run. A key "
        + "is TASK.KEY there. Default: OTTO_TRANSPORT, else uds:, the server.",
        HelpName = "ADDRESS",
    };

    private readonly SocketOption _sockets;

    public StoreOptions(Command command, string timeoutDescription, TimeSpan? usualTimeout)
    {
        _sockets = new SocketOption(command, timeoutDescription, usualTimeout);
        command.Add(_transport);
    }

    public TimeSpan? Timeout(ParseResult parsed) => _sockets.Timeout(parsed);

    /// <summary>Runs one command: at the server, or over the transport that was named.</summary>
    public Task<int> RunAsync(ParseResult parsed, Func<UdsClient, CancellationToken, Task<int>> atServer,
        Func<TaskStores, CancellationToken, Task<int>> elsewhere)
    {
        if (Elsewhere(parsed, out string? socket) is not { } stores) return _sockets.RunAsync(parsed, atServer, socket);
        return RunElsewhereAsync(parsed, stores, elsewhere);
    }

    /// <summary>Opens what a longer listening needs: a client of the server, or the stores
    /// of the transport that was named.</summary>
    public (UdsClient? Client, TaskStores? Stores) Open(ParseResult parsed) =>
        Elsewhere(parsed, out string? socket) is { } stores ? (null, stores) : (_sockets.Client(parsed, socket), null);

    private async Task<int> RunElsewhereAsync(ParseResult parsed, TaskStores stores, Func<TaskStores, CancellationToken, Task<int>> work)
    {
        await using TaskStores opened = stores;
        using var stop = new CancellationTokenSource();
        if (Timeout(parsed) is { } limit) stop.CancelAfter(limit);
        try
        {
            return await work(opened, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw new TimeoutException($"it took longer than {Timeout(parsed)!.Value.TotalSeconds:0.###} s");
        }
    }

    private TaskStores? Elsewhere(ParseResult parsed, out string? socket)
    {
        socket = null;
        string? address = parsed.GetValue(_transport)
            ?? (_sockets.Path(parsed) is null ? Environment.GetEnvironmentVariable(OttoTransport.EnvironmentVariable) : null);
        return string.IsNullOrWhiteSpace(address) ? null : OpenElsewhere(parsed, address, out socket);
    }

    // A method of its own: without --transport nothing of the transports is loaded.
    private TaskStores? OpenElsewhere(ParseResult parsed, string address, out string? socket)
    {
        socket = null;
        if (_sockets.Path(parsed) is not null && parsed.GetValue(_transport) is not null)
            throw new ArgumentException("pass either --socket or --transport, not both");
        ITransport transport = OttoTransport.Open(address);
        if (transport is not UdsTransport sockets) return new TaskStores(transport.Require<IStoreTransport>());
        socket = sockets.SocketPath;
        return null;
    }
}
