using System.Diagnostics;
using System.Runtime.InteropServices;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests;

// Another program beside the test: bash, python3 or what they start. Never left behind, never waited for without end.

internal sealed partial class ExternalProgram : IDisposable
{
    public const int SigKill = 9, SigPipe = 13, SigTerm = 15, SigContinue = 18, SigStop = 19;
    private readonly Process _process;
    private readonly string _what;
    private readonly Task<string> _output, _errors;
    private readonly Lock _disposing = new();
    private bool _disposed;

    public ExternalProgram(string directory, (string Name, string Value)[] environment, string program, string[] arguments)
    {
        _what = $"{program} {string.Join(' ', arguments)}";
        // Without the runtime's ignored SIGPIPE, as a shell would start it.
        var start = new ProcessStartInfo("env", ["--default-signal=PIPE", program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory,
        };
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        _process = Process.Start(start) ?? throw new InvalidOperationException("no process was started");
        Id = _process.Id;
        _output = _process.StandardOutput.ReadToEndAsync();
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public int Id { get; }

    public bool HasExited => _disposed || _process.HasExited;

    /// <summary>Whether it stands in an open of a FIFO whose other side has nobody.</summary>
    public bool IsWaitingInOpen => File.ReadAllText($"/proc/{Id}/wchan") switch
    {
        "wait_for_partner" or "fifo_open" => true,
        "0" => File.ReadAllText($"/proc/{Id}/stat").Contains(") S ", StringComparison.Ordinal), // a kernel that does not say where
        _ => false,
    };

    /// <summary>Completes when the program ends, whoever else has its output.</summary>
    public Task Ended => _process.WaitForExitAsync();

    /// <summary>Hands it a line on standard input.</summary>
    public void Say(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
    }

    public void Signal(int number)
    {
        lock (_disposing)
        {
            if (!HasExited) _ = SendSignal(Id, number);
        }
    }

    /// <summary>Waits for the program's end and that of everything that shares its output.</summary>
    /// <returns>The exit code; 128 and the signal where one ended it.</returns>
    public int AwaitExit(TimeSpan? limit = null)
    {
        if (!_process.WaitForExit(limit ?? Watchdog.BulkLimit)) Assert.Fail($"'{_what}' does not end");
        return _process.ExitCode;
    }

    /// <summary>Waits for a good end.</summary>
    /// <returns>What was printed.</returns>
    public string Output(int code = 0)
    {
        Assert.That(AwaitExit(), Is.EqualTo(code), () => $"{_what}\n{_output.Result}\n{_errors.Result}");
        return Watchdog.WaitAsync(_output).GetAwaiter().GetResult();
    }

    /// <summary>What it said on standard error, once all that share it have ended.</summary>
    public string Errors() => Watchdog.WaitAsync(_errors).GetAwaiter().GetResult();

    public void Dispose()
    {
        lock (_disposing)
        {
            if (_disposed) return;
            if (!_process.HasExited) _process.Kill(entireProcessTree: true);
            _process.WaitForExit(Watchdog.Limit);
            _process.Dispose();
            _disposed = true;
        }
    }

    public override string ToString() => $"{_what} (pid {Id})";

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int pid, int signal);
}
