using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Tools.Pipe;

// The programs that otto pipe started. A signal to otto is one to them: otto itself stays until they have ended.

internal sealed partial class ChildProcesses : IDisposable
{
    private const int SigHup = 1, SigInt = 2, SigQuit = 3, SigTerm = 15;
    private readonly List<Process> _processes = [];
    private readonly List<PosixSignalRegistration> _registrations;
    private readonly Lock _gate = new();
    private int _signalled;

    public ChildProcesses() => _registrations =
    [
        Forward(PosixSignal.SIGTERM, SigTerm, byTerminal: false),
        Forward(PosixSignal.SIGINT, SigInt, byTerminal: true),
        Forward(PosixSignal.SIGQUIT, SigQuit, byTerminal: true),
        Forward(PosixSignal.SIGHUP, SigHup, byTerminal: true),
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
            if (_signalled != 0) _ = Kill(process.Id, _signalled);
            return process;
        }
    }

    public void Terminate() => Signal(SigTerm);

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations) registration.Dispose();
        lock (_gate)
        {
            foreach (Process process in _processes) process.Dispose();
            _processes.Clear();
        }
    }

    private PosixSignalRegistration Forward(PosixSignal signal, int number, bool byTerminal) =>
        PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        // A terminal has told the children already: they are in its foreground together with this program.
        if (!byTerminal || !IsInForeground()) Signal(number);
    });

    private void Signal(int number)
    {
        lock (_gate)
        {
            _signalled = number; // for those that are started only now
            foreach (Process process in _processes)
            {
                if (!process.HasExited) _ = Kill(process.Id, number);
            }
        }
    }

    private static bool IsInForeground()
    {
        const int ReadWrite = 2, NoControl = 0x100, CloseOnExec = 0x80000;
        int terminal = Open("/dev/tty", ReadWrite | NoControl | CloseOnExec);
        if (terminal < 0) return false;
        bool foreground = TerminalGroup(terminal) == ProcessGroup();
        _ = Close(terminal);
        return foreground;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcgetpgrp")]
    private static partial int TerminalGroup(int descriptor);

    [LibraryImport("libc", EntryPoint = "getpgrp")]
    private static partial int ProcessGroup();
}
