using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests;

// The leak checker: each test has a directory of FIFOs of its own, and gives it back with nothing open in it. A descriptor, a stream that
// somebody still has open, and a program that still runs each fail the test that left them.

/// <summary>A directory of FIFOs for one test.</summary>
internal sealed class TestWorkspace : IDisposable
{
    private static int _count;
    private readonly List<ExternalProgram> _programs = [];
    private readonly PeerProcesses _peers = new();

    public TestWorkspace()
    {
        Directory = string.Create(CultureInfo.InvariantCulture,
            $"/dev/shm/otto-fifo-test-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Transport = new FifoTransport(new FifoTransportOptions { Directory = Directory });
    }

    public string Directory { get; }

    public FifoTransport Transport { get; }

    public string PathOf(ChannelName name) => Transport.PathOf(name);

    /// <summary>Starts a program, told where FIFOs are by its environment.</summary>
    public ExternalProgram Start((string Name, string Value)[] environment, string program, params string[] arguments)
    {
        ExternalProgram started = new ExternalProgram(Directory, environment, program, arguments);
        lock (_programs) _programs.Add(started);
        return started;
    }

    /// <summary>Starts a shell script.</summary>
    public ExternalProgram Bash(string script, params (string Name, string Value)[] environment) =>
        Start(environment, "bash", "-c", script);

    /// <summary>Starts a Python program.</summary>
    public ExternalProgram Python(string script, params (string Name, string Value)[] environment) =>
        Start(environment, "python3", "-c", script);

    /// <summary>Starts another .NET process that sees this directory.</summary>
    public PeerProcess Peer(params string[] arguments)
    {
        return _peers.Add(new PeerProcess(Directory, [("OTTO_FIFO_DIR", Directory)], arguments));
    }

    public void Dispose()
    {
        List<string> left = _peers.EndAll();

        lock (_programs)
        {
            foreach (ExternalProgram program in _programs)
            {
                if (!program.HasExited) left.Add($"program still running: {program}");
                program.Dispose();
            }
        }

        long start = Stopwatch.GetTimestamp();
        // The rest of a frame may still be on its way when its sender is disposed; a program that another
        // test starts has our descriptors for a moment.
        while (Open().Count > 0 && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(5)) Thread.Yield();
        left.AddRange(Open().Select(file => $"descriptor left open: {file}"));
        System.IO.Directory.Delete(Directory, recursive: true);
        if (left.Count > 0) Assert.Fail(string.Join(Environment.NewLine, left));
    }

    /// <summary>How many descriptors this process has of a file.</summary>
    public int HasOpen(string path) => Open().Count(file => file == path);

    private List<string> Open() =>
        [.. OpenDescriptors.All().Select(static descriptor => descriptor.Target).Where(
            target => target.StartsWith(Directory + "/", StringComparison.Ordinal))];
}
