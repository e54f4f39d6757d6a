using System.Diagnostics;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// Receivers that wait while other things are probed, and get nothing; beside them a program that waits for input and nothing else.

internal sealed class IdleWakeups : IDisposable
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(15), Window = TimeSpan.FromSeconds(10);

    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly SubjectProcess _bare = new();
    private readonly Dictionary<string, (Workspace Place, SubjectProcess Host)> _waiting = [];
    private readonly Dictionary<string, double> _wakeups = [];
    private readonly Dictionary<string, string> _problems = [];

    public IdleWakeups(IEnumerable<Subject> subjects)
    {
        foreach (Subject subject in subjects)
        {
            try
            {
                Wait(subject);
            }
            catch (Exception e) when (ProbeException.Covers(e))
            {
                _problems.Add(subject.Name, $"nobody could wait for messages: {e.Message}");
            }
        }
    }

    /// <summary>Wake-ups a second of a program that waits for its input.</summary>
    public double Bare { get; private set; }

    /// <summary>Wake-ups a second of a receiver, all threads of its process.</summary>
    /// <exception cref="ProbeException">It did not come to wait.</exception>
    public double Of(string subject) =>
        _problems.TryGetValue(subject, out string? problem) ? throw new ProbeException(problem) : _wakeups[subject];

    /// <summary>Counts over some seconds in which nothing else is done.</summary>
    public void Measure()
    {
        TimeSpan left = Settling - Stopwatch.GetElapsedTime(_started);
        if (left > TimeSpan.Zero) Thread.Sleep(left); // The runtime's own start: tiered compilation, the finalizer.
        long bare = ProcessCounters.Of(_bare.Id).Switches;
        Dictionary<string, long> before = _waiting.ToDictionary(w => w.Key, w => ProcessCounters.Of(w.Value.Host.Id).Switches);
        long start = Stopwatch.GetTimestamp();
        Thread.Sleep(Window);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Bare = Math.Round((ProcessCounters.Of(_bare.Id).Switches - bare) / seconds, 1);
        foreach ((string name, (_, SubjectProcess host)) in _waiting) _wakeups[name] =
            Math.Round((ProcessCounters.Of(host.Id).Switches - before[name]) / seconds, 1);
    }

    public void Dispose()
    {
        if (_waiting.Count == 0) return;
        _bare.Dispose();
        foreach ((Workspace workspace, SubjectProcess host) in _waiting.Values)
        {
            host.Dispose();
            workspace.Dispose();
        }

        _waiting.Clear();
    }

    private void Wait(Subject subject)
    {
        Workspace workspace = subject.OpenWorkspace();
        SubjectProcess host = new SubjectProcess();
        _waiting.Add(subject.Name, (workspace, host));
        var side = new Side(host, 0, $"the idle receiver of {subject.Name}");
        side.Ask($"subject {subject.Name} {workspace.Address}");
        side.Ask(EndpointPair.Verb("inlet", "idle", new LinkOptions(1024)));
        side.Ask("wait");
    }
}
