using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// System calls of running processes, counted by strace where it may attach, and otherwise by the kernel's own count of reads and writes.

/// <summary>A count that has begun.</summary>
internal sealed class SystemCalls : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly IReadOnlyList<int> _processes;
    private readonly Process? _strace;
    private readonly string? _summary;
    private readonly long _before;

    private SystemCalls(IReadOnlyList<int> processes, Process? strace, string? summary)
    {
        (_processes, _strace, _summary) = (processes, strace, summary);
        if (strace is null) _before = ReadsAndWrites();
    }

    /// <summary>What is counted, for the evidence.</summary>
    public string What => _strace is null ? "read and write calls (strace may not be used here)" : "system calls";

    public static SystemCalls Start(IReadOnlyList<int> processes)
    {
        if (!InstalledPrograms.Has("strace")) return new SystemCalls(processes, null, null);
        string summary = Interruption.NewPath(Path.GetTempPath());
        var start = new ProcessStartInfo("strace",
            ["-f", "-c", "-o", summary, .. processes.SelectMany(static p => (string[])["-p", p.ToString(CultureInfo.InvariantCulture)])])
            { RedirectStandardError = true };
        Process strace = Interruption.Start(start);
        // It says "attached" for each process, or why not.
        var attached = new TaskCompletionSource<bool>();
        int left = processes.Count;
        strace.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null) attached.TrySetResult(false);
            else if (line.Data.Contains("attached", StringComparison.Ordinal) && --left == 0) attached.TrySetResult(true);
        };
        strace.BeginErrorReadLine();
        if (attached.Task.Wait(Patience) && attached.Task.Result) return new SystemCalls(processes, strace, summary);
        if (!strace.HasExited) strace.Kill();
        Interruption.Ended(strace);
        File.Delete(summary);
        return new SystemCalls(processes, null, null);
    }

    /// <summary>Ends the count.</summary>
    public long Stop()
    {
        if (_strace is null) return ReadsAndWrites() - _before;
        using (Process interrupt = Process.Start("kill", ["-INT", _strace.Id.ToString(CultureInfo.InvariantCulture)]))
            interrupt.WaitForExit();
        if (!_strace.WaitForExit(Patience)) throw new ProbeException("strace did not end");
        // % time  seconds  usecs/call  calls  [errors]  total
        string? total = File.ReadLines(_summary!).LastOrDefault(static l => l.TrimEnd().EndsWith(" total", StringComparison.Ordinal));
        return total is null ? 0 : long.Parse(total.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        if (_strace is null) return;
        if (!_strace.HasExited) _strace.Kill();
        Interruption.Ended(_strace);
        File.Delete(_summary!);
    }

    private long ReadsAndWrites() => _processes.Sum(static p => File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{p}/io"))
        .Where(static l => l.StartsWith("sysc", StringComparison.Ordinal)).Sum(
            static l => long.Parse(l.AsSpan(l.IndexOf(':', StringComparison.Ordinal) + 1), CultureInfo.InvariantCulture)));
}
