using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Tools.Pipe;

// The programs that otto pipe started. A signal to otto is one to them: otto itself stays until they have ended.

internal sealed class ChildProcesses : IDisposable
{
    private readonly List<Process> _processes = [];
    private readonly List<PosixSignalRegistration> _registrations;
    private readonly Lock _gate = new();
    private int _signalled;

    public ChildProcesses() => _registrations =
    [
        Forward(PosixSignal.SIGTERM, byTerminal: false),
        Forward(PosixSignal.SIGINT, byTerminal: true),
        Forward(PosixSignal.SIGQUIT, byTerminal: true),
        Forward(PosixSignal.SIGHUP, byTerminal: true),
    ];

    public Process Start(string[] command, string variable, string pipe)
    {
        // The path that was found, and not the name: .NET would look in the current directory before it looks in PATH.
        var start = new ProcessStartInfo(ExecutableLookup.Find(command[0]) ?? command[0], command[1..]) { UseShellExecute = false };
        start.Environment[variable] = pipe;
        lock (_gate)
        {
            Process process = Process.Start(start) ?? throw new IOException($"{command[0]} could not be started");
            _processes.Add(process);
            if (_signalled != 0) ProcessSignals.Send(process.Id, _signalled);
            return process;
        }
    }

    public void Terminate() => Signal(ProcessSignals.Terminate);

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
        lock (_gate)
        {
            foreach (Process process in _processes) process.Dispose();
            _processes.Clear();
        }
    }

    private PosixSignalRegistration Forward(PosixSignal signal, bool byTerminal) =>
        PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        // A terminal has already signalled the children: they are in its foreground together with this program.
        if (!byTerminal || !Terminal.IsInForeground()) Signal(ProcessSignals.NumberOf(signal));
    });

    private void Signal(int number)
    {
        lock (_gate)
        {
            _signalled = number; // for those that are started only now
            foreach (Process process in _processes)
            {
                if (!process.HasExited) ProcessSignals.Send(process.Id, number);
            }
        }
    }
}
