using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Ipc.Mmap.Tests;

// A real process beside the test: never left behind, never waited for without end.

internal sealed partial class ChildProcess : IDisposable
{
    public const int SigKill = 9, SigContinue = 18;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private ChildProcess(Process process)
    {
        _process = process;
        _errors = process.StandardError.ReadToEndAsync();
    }

    public int Id => _process.Id;

    public static ChildProcess Peer(params string[] arguments) => Start(Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Peer"), arguments);

    public static ChildProcess Python(string program, params string[] arguments) => Start("python3", ["-c", program, .. arguments]);

    public static ChildProcess Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true,
            RedirectStandardInput = true };
        return new ChildProcess(Process.Start(start)!);
    }

    /// <summary>Waits for the line "ready".</summary>
    public void AwaitReady() => Assert.That(ReadLine(), Is.EqualTo("ready"));

    public string? ReadLine()
    {
        Task<string?> line = _process.StandardOutput.ReadLineAsync();
        if (line.Wait(Patience)) return line.Result;
        throw new TimeoutException($"process {Id} said nothing for {Patience}");
    }

    /// <summary>Lets a peer that is ready begin.</summary>
    public void Go()
    {
        _process.StandardInput.WriteLine();
        _process.StandardInput.Flush();
    }

    public void Signal(int signal) => _ = Kill(Id, signal);

    public void AwaitStopped() =>
        Eventually.True(() => File.ReadAllText($"/proc/{Id}/stat").Contains(") T ", StringComparison.Ordinal), $"process {Id} stops");

    /// <summary>Waits for the end.</summary>
    /// <returns>The exit code; 137 for a killed process.</returns>
    public int AwaitExit()
    {
        if (!_process.WaitForExit(Patience)) throw new TimeoutException($"process {Id} ran for more than {Patience}");
        return _process.ExitCode;
    }

    /// <summary>Waits for a good end and returns what was printed.</summary>
    public string Output()
    {
        Task<string> output = _process.StandardOutput.ReadToEndAsync();
        int code = AwaitExit();
        Assert.That(code, Is.Zero, () => _errors.Result);
        return output.Result.TrimEnd('\n');
    }

    public void Dispose()
    {
        if (!_process.HasExited) Signal(SigKill);
        _process.WaitForExit(Patience);
        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);
}
