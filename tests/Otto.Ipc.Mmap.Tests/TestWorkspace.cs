using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests;

// The leak checker: each test has a directory of its own in shared memory, and gives it back empty. A segment that is still attached
// when the test ends, a file that nobody removed, and another process still running each fail the test that left them.

/// <summary>A directory of segments for one test.</summary>
internal sealed class TestWorkspace : IDisposable
{
    public static readonly string Prefix = $"/dev/shm/otto-test-{Environment.ProcessId}-";
    private static int _count;
    private readonly PeerProcesses _peers = new();

    /// <param name="parent">Where to make the directory; left out, in shared memory.</param>
    public TestWorkspace(string? parent = null)
    {
        Directory = Prefix + Interlocked.Increment(ref _count).ToString(CultureInfo.InvariantCulture);
        if (parent is not null) Directory = Path.Combine(parent, Path.GetFileName(Directory));
        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Transport = new MmapTransport(new MmapTransportOptions { Directory = Directory });
    }

    public string Directory { get; }

    public MmapTransport Transport { get; }

    public string PathOf(string name, SegmentShape shape) => SegmentFile.PathOf(Directory, name, shape);

    /// <summary>Starts another process that sees this directory.</summary>
    public PeerProcess Start(params string[] arguments) => StartWith([], arguments);

    public PeerProcess StartWith((string Name, string Value)[] environment, params string[] arguments)
    {
        return _peers.Add(new PeerProcess(Directory, environment, arguments));
    }

    /// <summary>Starts another process in namespaces of its own: see <see cref="Namespaces"/>.</summary>
    public PeerProcess StartIn(IReadOnlyList<string> launcher, params string[] arguments) =>
        _peers.Add(new PeerProcess(Directory, [], arguments, launcher));

    public void Dispose()
    {
        List<string> left = _peers.EndAll();

        foreach (string path in System.IO.Directory.GetFiles(Directory))
        {
            if (Refusal(path) is { } refusal) left.Add($"segment left behind: {refusal}");
        }

        left.AddRange(System.IO.Directory.GetFileSystemEntries(Directory).Select(entry => $"file left behind: {entry}"));
        System.IO.Directory.Delete(Directory, recursive: true);
        if (left.Count > 0) Assert.Fail(string.Join(Environment.NewLine, left));
    }

    /// <summary>Removes a segment; why not, where somebody is attached to it for good.</summary>
    private string? Refusal(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path);
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                _ = Path.GetExtension(path) switch
                {
                    ".stream" => Transport.RemoveStream(name),
                    ".topic" => Transport.RemoveTopic(name),
                    ".store" => Transport.RemoveStore(name),
                    _ => Transport.RemoveQueue(name),
                };
                return null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A process that another test starts just now has our descriptors, and with them our locks, until it executes its program.
                if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(5)) return e.Message;
                Thread.Yield();
            }
        }
    }
}
