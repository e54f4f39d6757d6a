using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests;

// The leak checker: a server of the test's own, in a directory of its own, that must have failed nobody, hold nothing for clients that have
// gone, and leave nothing behind.

/// <summary>A server for one test.</summary>
internal sealed class TestServer : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly List<WireClient> _clients = [];

    public TestServer(UdsServerOptions? options = null) =>
        Server = UdsServer.Start((options ?? new UdsServerOptions()) with { SocketPath = SocketPath });

    public UdsServer Server { get; }

    public string SocketPath => _directory.SocketPath;

    public WireClient Connect()
    {
        var client = new WireClient(SocketPath);
        lock (_clients) _clients.Add(client);
        return client;
    }

    /// <summary>Sends text on a connection of its own, closes the sending side, and reads to the end.</summary>
    public string Ask(string text)
    {
        using WireClient client = Connect();
        client.Send(text);
        client.EndInput();
        return client.ReadToEnd();
    }

    public void Dispose()
    {
        foreach (WireClient client in _clients) client.Dispose();
        Watchdog.Until(() => Server.Connections == 0, "every connection was given back");
        Assert.That(Server.Loop.LastFailure, Is.Null);
        Watchdog.Until(() => Server.Loop.Budget.Used == 0, "every buffer was given back");
        Server.Dispose();
        _directory.Dispose();
    }
}

/// <summary>A directory for the sockets of one test, which must be empty in the end.</summary>
internal sealed class TestDirectory : IDisposable
{
    private static int _count;

    public TestDirectory()
    {
        Path = $"/tmp/otto-uds-test-{Environment.ProcessId}-{Interlocked.Increment(ref _count).ToString(CultureInfo.InvariantCulture)}";
        Directory.CreateDirectory(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Path { get; }

    public string SocketPath => System.IO.Path.Combine(Path, "otto.sock");

    public void Dispose()
    {
        string[] left = Directory.GetFileSystemEntries(Path);
        Directory.Delete(Path, recursive: true);
        Assert.That(left, Is.Empty, "left behind");
    }
}
