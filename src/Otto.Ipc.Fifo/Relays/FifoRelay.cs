using Otto.Ipc.Fifo.Waiting;

namespace Otto.Ipc.Fifo.Relays;

// A FIFO alone serves shells badly: the first echo's close ends the reader, and whoever keeps it open for writing keeps its reader from
// ever leaving. So each program has a FIFO of its own, and a relay stands between that knows when the programs end.

/// <summary>Passes on what producers write into their FIFOs to the FIFOs of consumers, with
/// bounded memory and in the pace of the slowest.</summary>
/// <remarks>
/// There are one or several producers and consumers. Each is any program that opens a path, and every consumer gets
/// everything. Create the relay, start the programs with <see cref="OutputPipes"/> and <see cref="InputPipes"/> in
/// their environments, call <see cref="RunAsync"/>, and report when each program has ended. Until then, a producer may
/// open and close its FIFO as often as it likes. A consumer that closes its FIFO has left. When all consumers have
/// left, the producers' FIFOs are closed, and a producer that continues to write gets SIGPIPE. A producer that ends
/// before a consumer has opened loses nothing. Every member is safe for use by several threads.
/// </remarks>
public sealed class FifoRelay : IAsyncDisposable
{
    private const int FirstRetry = 1, LongestRetry = 16, RejectInterval = 10, StepsInARow = 64; // ms, ms, ms
    private readonly RelayDirectory _directory;
    private readonly WakeSignal _signal = new();
    private readonly Timer _timer;
    private readonly List<RelayInlet> _inlets = [];
    private readonly List<RelayOutlet> _outlets = [];
    private readonly Lock _gate = new();
    private Task<FifoRelayReport>? _running;
    private RelayInlet? _current;
    private int _run;
    private int _turn;
    private int _retry = FirstRetry;
    private volatile bool _stopping;
    private Timer? _rejecting;

    /// <summary>Makes the FIFOs. Producers may open and write from now on; nothing is
    /// passed on until <see cref="RunAsync"/>.</summary>
    /// <param name="options">How many programs, and how their bytes are put together; left out, one to one.</param>
    /// <exception cref="ArgumentException">An option is out of bounds; the message has the numbers.</exception>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    /// <exception cref="IOException">The system refused; the message describes the problem.</exception>
    public FifoRelay(FifoRelayOptions? options = null)
    {
        options ??= new FifoRelayOptions();
        options.Validate();
        _timer = new Timer(static signal => ((WakeSignal)signal!).Set(), _signal, Timeout.Infinite, Timeout.Infinite);
        _directory = RelayDirectory.Make(options.Directory);
        try
        {
            FifoFraming? framing = options.Producers > 1 ? options.Framing : null;
            for (int i = 1; i <= options.Producers; i++)
                _inlets.Add(new RelayInlet(_directory.MakeFifo($"output-{i}"), framing, options, _signal));
            for (int i = 1; i <= options.Consumers; i++) _outlets.Add(new RelayOutlet(_directory.MakeFifo($"input-{i}"), options, _signal));
        }
        catch
        {
            CloseAll();
            _directory.Dispose();
            throw;
        }

        OutputPipes = _inlets.ConvertAll(inlet => inlet.Path);
        InputPipes = _outlets.ConvertAll(outlet => outlet.Path);
    }

    /// <summary>The FIFO of each producer, for its <c>OTTO_OUTPUT_PIPE</c>.</summary>
    public IReadOnlyList<string> OutputPipes { get; }

    /// <summary>The FIFO of each consumer, for its <c>OTTO_INPUT_PIPE</c>.</summary>
    public IReadOnlyList<string> InputPipes { get; }

    /// <summary>Starts to relay, and continues until every producer has ended and everything was passed on, or every
    /// consumer has left.</summary>
    /// <returns>The result of the relay; the same task for each call. The task faults if the system fails, and is
    /// canceled if the relay is disposed before the end.</returns>
    public Task<FifoRelayReport> RunAsync()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            return _running ??= Task.Run(RelayAsync);
        }
    }

    /// <summary>Reports that a producer has ended: what it wrote is passed on, and then its side is over.</summary>
    /// <param name="producer">Which one, from 0.</param>
    public void ProducerEnded(int producer)
    {
        _inlets[producer].ProgramEnded = true;
        _signal.Set();
    }

    /// <summary>Reports that a consumer has ended: nothing more is kept for it.</summary>
    /// <param name="consumer">Which one, from 0.</param>
    public void ConsumerEnded(int consumer)
    {
        _outlets[consumer].ProgramEnded = true;
        _signal.Set();
    }

    /// <summary>Stops, closes and deletes the FIFOs, and releases any program that still waits to open one.</summary>
    /// <returns>Completes when nothing is left.</returns>
    public async ValueTask DisposeAsync()
    {
        Task? running;
        lock (_gate)
        {
            if (_stopping) return;
            _stopping = true;
            running = _running;
        }

        _signal.Set();
        if (running is not null) await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_rejecting is not null) await _rejecting.DisposeAsync().ConfigureAwait(false);
        await _timer.DisposeAsync().ConfigureAwait(false);
        CloseAll();
        _directory.Dispose();
        _signal.Close();
    }

    private async Task<FifoRelayReport> RelayAsync()
    {
        try
        {
            for (int steps = 1; !IsOver(); steps++)
            {
                if (_stopping) throw new OperationCanceledException("the relay was disposed while it was running");
                if (Step())
                {
                    if (steps % StepsInARow == 0) await Task.Yield();
                    continue;
                }

                Arm();
                await _signal.WaitAsync().ConfigureAwait(false);
            }

            bool left = !_inlets.Exists(inlet => inlet.IsBroken) && !_inlets.TrueForAll(inlet => inlet.IsDone);
            return new FifoRelayReport(_inlets.Sum(inlet => inlet.Bytes), left, [.. _inlets.Select(inlet => inlet.Error).OfType<string>()]);
        }
        finally
        {
            CloseAll();
            // Programs that open a FIFO now must not wait for ever.
            if (!_stopping) _rejecting = new Timer(_ => RejectAll(), null, RejectInterval, RejectInterval);
        }
    }

    /// <summary>Reads, passes on and looks, once.</summary>
    /// <returns>Whether something happened, so that it is worth going on at once.</returns>
    private bool Step()
    {
        bool happened = false;
        foreach (RelayInlet inlet in _inlets) happened |= inlet.Fill();
        foreach (RelayOutlet outlet in _outlets)
        {
            if (!outlet.Update()) continue;
            happened = true;
            _retry = FirstRetry;
        }

        if (_current is null) happened |= TakeTurn();
        return _current is null ? happened : PassOn(_current) || happened;
    }

    /// <summary>Chooses whose bytes come next: each producer that has some gets its turn.</summary>
    private bool TakeTurn()
    {
        int inFrame = _inlets.FindIndex(inlet => inlet.IsInFrame);
        for (int i = 0; i < _inlets.Count; i++)
        {
            int turn = inFrame >= 0 ? inFrame : (_turn + i) % _inlets.Count;
            _run = _inlets[turn].Ready().Length;
            if (_run == 0) continue;
            _current = _inlets[turn];
            _turn = turn + 1;
            foreach (RelayOutlet outlet in _outlets) outlet.Sent = 0;
            return true;
        }

        return false;
    }

    private bool PassOn(RelayInlet inlet)
    {
        bool happened = false, all = true;
        foreach (RelayOutlet outlet in _outlets)
        {
            happened |= outlet.Write(inlet.First(_run));
            all &= outlet.HasEnded || outlet.Sent == _run;
        }

        if (!all || _outlets.TrueForAll(outlet => outlet.HasEnded)) return happened;
        inlet.Consume(_run);
        _current = null;
        return true;
    }

    private bool IsOver()
    {
        if (_outlets.TrueForAll(outlet => outlet.HasEnded)) return true;
        if (_current is not null || !_inlets.Exists(inlet => inlet.IsBroken) && !_inlets.TrueForAll(inlet => inlet.IsDone)) return false;
        // A consumer that has not opened its FIFO yet must be let in, to find the end.
        return !_outlets.Exists(outlet => !outlet.HasEnded && !outlet.IsOpen);
    }

    private void Arm()
    {
        foreach (RelayInlet inlet in _inlets) inlet.Arm();
        foreach (RelayOutlet outlet in _outlets) outlet.Arm(wantsRoom: _current is not null && outlet.Sent < _run);
        if (!_outlets.Exists(outlet => !outlet.HasEnded && !outlet.IsOpen)) return;
        _timer.Change(_retry, Timeout.Infinite);
        _retry = Math.Min(_retry * 2, LongestRetry);
    }

    private void RejectAll()
    {
        try
        {
            foreach (RelayInlet inlet in _inlets) inlet.RejectWaiting();
            foreach (RelayOutlet outlet in _outlets) outlet.RejectWaiting();
        }
#pragma warning disable CA1031 // What a timer throws ends the process.
        catch (Exception)
#pragma warning restore CA1031
        {
            // A FIFO was removed or changed from outside: nobody can wait at it any more.
        }
    }

    private void CloseAll()
    {
        foreach (RelayInlet inlet in _inlets) inlet.Close();
        foreach (RelayOutlet outlet in _outlets) outlet.Close();
    }
}
