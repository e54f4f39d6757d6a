namespace Otto.Tools.Demo;

// The orchestrator's book: which results there must be and which came. Lost and duplicated are counted from the results themselves.

internal sealed class ResultTally
{
    public const string Vision = "vision", Voice = "voice", ProbeAgent = "probe";

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Agent, int Id), int> _seen = [];
    private readonly List<string> _failures = [];
    private readonly List<long> _probeOverheads = [];
    private readonly TaskCompletionSource _workDone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource? _probeDone;
    private int _awaitedProbe;
    private int _files = -1;
    private int _vision;
    private int _voice;
    private int _duplicated;
    private long _lastResult = Environment.TickCount64;

    /// <summary>Completes when each file has been looked at and listened to.</summary>
    public Task WorkDone => _workDone.Task;

    /// <summary>How many files there are; -1 until the indexer has said.</summary>
    public int Files => Volatile.Read(ref _files);

    public int VisionDone => Volatile.Read(ref _vision);

    public int VoiceDone => Volatile.Read(ref _voice);

    /// <summary>Results that came more than once.</summary>
    public int Duplicated => Volatile.Read(ref _duplicated);

    /// <summary>How long nothing has been heard.</summary>
    public TimeSpan Silence => TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref _lastResult));

    /// <summary>Results that should have come and did not: two a file.</summary>
    public int Lost => Files < 0 ? 0 : Files * 2 - VisionDone - VoiceDone;

    public void Record(FilesFound found)
    {
        lock (_gate)
        {
            _files = found.Count;
            TouchLastResult();
        }
    }

    public void Record(Result result)
    {
        lock (_gate)
        {
            ref int times = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_seen, (result.Agent, result.Id),
                out _);
            if (++times > 1)
            {
                _duplicated++;
                return;
            }

            switch (result.Agent)
            {
                case Vision: _vision++; break;
                case Voice: _voice++; break;
                case ProbeAgent:
                    _probeOverheads.Add(result.OverheadTicks);
                    if (result.Id == _awaitedProbe) _probeDone?.TrySetResult();
                    break;
            }

            if (result.Failed) _failures.Add(result.Finding);
            TouchLastResult();
        }
    }

    /// <summary>Says that a probe is about to be sent.</summary>
    /// <returns>Completes when its result is here.</returns>
    public Task Await(int probe)
    {
        lock (_gate)
        {
            _awaitedProbe = probe;
            _probeDone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _probeDone.Task;
        }
    }

    /// <summary>What could not be read, and why.</summary>
    public string[] Failures()
    {
        lock (_gate) return [.. _failures];
    }

    /// <summary>The probes' overheads in order of arrival, in Stopwatch ticks.</summary>
    public long[] ProbeOverheads()
    {
        lock (_gate) return [.. _probeOverheads];
    }

    private void TouchLastResult()
    {
        _lastResult = Environment.TickCount64;
        if (_files >= 0 && _vision == _files && _voice == _files) _workDone.TrySetResult();
    }
}
