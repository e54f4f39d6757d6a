using System.Runtime.InteropServices;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// What signals mean to a worker: the first one stops it gracefully, the second one ends its commands, the third one does so at once.
// SIGQUIT is for those who do not want to wait: it counts as the second. One that was ignored at the start, as nohup does with SIGHUP,
// stays ignored.

internal sealed class WorkSignals : IDisposable
{
    private readonly CancellationTokenSource _ending = new(), _hurry = new();
    private readonly TaskCompletionSource _stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly TaskCompletionSource _told = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _received;

    public WorkSignals()
    {
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT])
            if (!ProcessSignals.IsIgnored(signal)) _registrations.Add(PosixSignalRegistration.Create(signal, Receive));
    }

    /// <summary>Gets a task that ends when no more is to be begun.</summary>
    public Task Stopping => _stopping.Task;

    /// <summary>Gets whether a signal came.</summary>
    public bool Received => _received > 0;

    /// <summary>Gets a task that ends when running commands are to end.</summary>
    public Task Told => _told.Task;

    /// <summary>Fires when running commands are to end.</summary>
    public CancellationToken Ending => _ending.Token;

    /// <summary>Fires when they are to end without a grace.</summary>
    public CancellationToken Hurry => _hurry.Token;

    /// <summary>Gets the exit code of a worker that was told to end its commands, as a shell has it.</summary>
    public int ExitCode { get; private set; }

    /// <summary>Begins the graceful stop without a signal.</summary>
    public void Stop() => _stopping.TrySetResult();

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
        _ending.Dispose();
        _hurry.Dispose();
    }

    private void Receive(PosixSignalContext context)
    {
        context.Cancel = true;
        lock (_stopping)
        {
            _received += _received == 0 && context.Signal == PosixSignal.SIGQUIT ? 2 : 1;
            if (_received >= 2) ExitCode = 128 + ProcessSignals.NumberOf(context.Signal);
        }

        if (_received >= 2) _told.TrySetResult();
        _stopping.TrySetResult();
        if (_received >= 2) _ending.Cancel();
        if (_received >= 3) _hurry.Cancel();
    }
}
