using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests;

// The leak checker: each test has a run's directory of its own. A half-made file, a worker's directory without a worker, a process still
// running each fail the test that left them.

/// <summary>The directory of a run, for one test.</summary>
internal sealed class TestWorkspace : IDisposable
{
    private static int _count;
    private readonly PeerProcesses _peers = new();

    /// <param name="options">All but the directory.</param>
    /// <param name="onDisk">Whether it lies where fsync costs something.</param>
    public TestWorkspace(FilesTransportOptions? options = null, bool onDisk = false)
    {
        string parent = onDisk ? Path.GetTempPath() : "/dev/shm";
        Directory = Path.Combine(parent,
            string.Create(CultureInfo.InvariantCulture, $"otto-files-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}"));
        Options = (options ?? new FilesTransportOptions()) with { Directory = Directory };
        Transport = new FilesTransport(Options);
    }

    public string Directory { get; }

    public FilesTransportOptions Options { get; }

    public FilesTransport Transport { get; }

    /// <summary>The directory of a task's store.</summary>
    public string TaskDirectory(string task) => Path.Combine(Directory, "tasks", task);

    public string StorePath(string task) => Path.Combine(TaskDirectory(task), $"output.{task}.json");

    /// <summary>Starts another process that sees this directory.</summary>
    public PeerProcess Start(params string[] arguments)
    {
        return _peers.Add(new PeerProcess(Directory, [("OTTO_TASKS_DIR", Directory), ("OTTO_TRANSPORT", "files")], arguments));
    }

    /// <summary>Starts another process in namespaces of its own: see <see cref="Namespaces"/>.</summary>
    public PeerProcess StartIn(IReadOnlyList<string> launcher, params string[] arguments) => _peers.Add(
        new PeerProcess(Directory, [("OTTO_TASKS_DIR", Directory), ("OTTO_TRANSPORT", "files")], arguments, launcher));

    /// <summary>Runs a shell script in this directory.</summary>
    public ShellResult Bash(string script) => Shell.Run(Directory, script);

    public void Dispose()
    {
        List<string> left = _peers.EndAll();

        if (!System.IO.Directory.Exists(Directory)) return;
        foreach (string entry in System.IO.Directory.EnumerateFileSystemEntries(Directory, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(entry).StartsWith('.') || entry.EndsWith(".new", StringComparison.Ordinal))
                left.Add($"half-made file left behind: {entry}");
            if (Path.GetFileName(Path.GetDirectoryName(entry)) == "leased") left.Add($"worker left behind: {entry}");
        }

        System.IO.Directory.Delete(Directory, recursive: true);
        if (left.Count > 0) Assert.Fail(string.Join(Environment.NewLine, left));
    }
}
