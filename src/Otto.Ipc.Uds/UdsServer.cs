using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Listening;
using Otto.Ipc.Uds.Server;

namespace Otto.Ipc.Uds;

/// <summary>
/// A server for one socket: a store, topics and progress, for clients of any language. <c>docs/protocol.md</c>
/// describes the protocol.
/// </summary>
/// <remarks>
/// Runs on one thread of its own until it is disposed. What is stored is in memory and gone with the server. Only
/// processes of this user, and of root, are served. Safe for use by several threads.
/// </remarks>
public sealed class UdsServer : IDisposable, IAsyncDisposable
{
    private readonly SocketLock? _lock;
    private readonly UnixSocket _listener;
    private readonly ILogger _log;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _disposed;

    private UdsServer(string? path, UdsServerOptions options)
    {
        _log = options.LoggerFactory?.CreateLogger("Otto.Ipc.Uds.UdsServer") ?? NullLogger.Instance;
        if (path is null)
        {
            _listener = UnixSocket.Adopt(options.ListenDescriptor!.Value, out path);
        }
        else
        {
            _lock = SocketLock.Take(path);
            _listener = _lock.Listener;
        }

        SocketPath = path;
        try
        {
            Loop = new ServerLoop(options, _listener, _lock, _log);
        }
        catch
        {
            CloseListener();
            throw;
        }

        new Thread(Run) { IsBackground = true, Name = "otto server" }.Start();
    }

    /// <summary>The socket's path.</summary>
    public string SocketPath { get; }

    /// <summary>How many clients are connected.</summary>
    public int Connections => Loop.Connections;

    /// <summary>Completes when the server has stopped; fails if it could not continue.</summary>
    public Task Completion => _completion.Task;

    internal ServerLoop Loop { get; }

    /// <summary>Starts a server; clients can connect when this returns.</summary>
    /// <param name="options">The path and the bounds; left out, the defaults.</param>
    /// <returns>The server.</returns>
    /// <exception cref="SocketInUseException">
    /// Another live server has the path. The message names its process.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The directory is not safe, or not ours.</exception>
    /// <exception cref="ArgumentException">An option is out of its range, or the path is
    /// too long; the message has the numbers.</exception>
    /// <exception cref="IOException">
    /// The socket cannot be created. If the path exists and is not a socket, it is not changed.
    /// </exception>
    public static UdsServer Start(UdsServerOptions? options = null)
    {
        options ??= new UdsServerOptions();
        options.Validate();
        if (options.ListenDescriptor is not null) return new UdsServer(null, options);
        string path = SocketPaths.PathOf(options.SocketPath);
        SocketPaths.EnsureDirectory(path);
        return new UdsServer(path, options);
    }

    /// <summary>Stops the server: clients are closed, and the socket is removed. Further calls do nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0) Loop.Stop();
        Completion.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
    }

    /// <summary>Stops the server, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes when it has stopped.</returns>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0) Loop.Stop();
        await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void CloseListener()
    {
        if (_lock is null) _listener.Close();
        else _lock.Dispose();
    }

    private void Run()
    {
        Exception? failure = null;
        try
        {
            Loop.Run();
        }
        catch (Exception e)
        {
            _log.ServerFailed(SocketPath, e);
            failure = e;
        }

        // The name goes first: a client that finds none knows that no server listens.
        CloseListener();
        Loop.Dispose();
        if (failure is null) _completion.SetResult();
        else _completion.SetException(failure);
    }
}
