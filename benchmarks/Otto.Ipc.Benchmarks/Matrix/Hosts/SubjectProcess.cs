using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Hosts;

// A process in which ends live: this program again, told by lines of its input what to do. What is measured never travels this way, and
// what is said here never travels over the transport.

/// <summary>Another process. Each of its sessions is a thread that does one thing after another.</summary>
internal sealed class SubjectProcess : IDisposable
{
    // Beside us, whoever we are: a test is another program.
    private static readonly string Executable = Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Benchmarks");

    private readonly Process _process;
    private readonly ConcurrentDictionary<int, BlockingCollection<string>> _answers = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly Lock _input = new();

    public SubjectProcess(bool withoutPrivileges = false)
    {
        // A pipe may be larger than the system's limit for who may manage resources: what is promised is what everybody gets.
        string[] without = withoutPrivileges && Environment.IsPrivilegedProcess && InstalledPrograms.Has("setpriv")
            ? ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", Executable]
            : [Executable];
        var start = new ProcessStartInfo(without[0]) { RedirectStandardInput = true, RedirectStandardOutput = true,
            RedirectStandardError = true };
        foreach (string argument in (string[])[.. without[1..], "peer", "matrix"]) start.ArgumentList.Add(argument);
        _process = Interruption.Start(start);
        _process.OutputDataReceived += (_, line) => OnOutput(line.Data);
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null) _errors.Enqueue(line.Data);
        };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool IsRunning => !_process.HasExited;

    /// <summary>Tells a session to do something.</summary>
    public void Request(int session, string verb)
    {
        lock (_input)
        {
            _process.StandardInput.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{session} {verb}"));
            _process.StandardInput.Flush();
        }
    }

    /// <summary>What a session answered.</summary>
    /// <exception cref="TimeoutException">Nothing, in that time.</exception>
    /// <exception cref="ProbeException">That it could not; the message says why.</exception>
    public string ReadAnswer(int session, TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        string? answer;
        while (!Answers(session).TryTake(out answer, 100))
        {
            if (!IsRunning && Answers(session).Count == 0)
                throw new ProbeException($"the other process ended with code {_process.ExitCode}: {string.Join(" | ", _errors)}");
            if (Stopwatch.GetElapsedTime(start) > timeout)
                throw new TimeoutException($"a process said nothing in {timeout.TotalSeconds:0} s");
        }

        return answer == "ok" ? ""
            : answer.StartsWith("ok ", StringComparison.Ordinal) ? answer[3..]
            : throw new ProbeException(answer[(answer.IndexOf(' ', StringComparison.Ordinal) + 1)..]);
    }

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }

        if (!_process.WaitForExit(TimeSpan.FromSeconds(5))) Kill();
        Interruption.Ended(_process);
    }

    private void OnOutput(string? line)
    {
        if (line is null) return;
        int space = line.IndexOf(' ', StringComparison.Ordinal);
        if (space > 0 && int.TryParse(line.AsSpan(0, space), CultureInfo.InvariantCulture, out int session))
            Answers(session).Add(line[(space + 1)..]);
        else _errors.Enqueue(line);
    }

    private BlockingCollection<string> Answers(int session) => _answers.GetOrAdd(session, static _ => []);
}

/// <summary>Something that was tried did not work, which may be the very answer.</summary>
internal sealed class ProbeException(string message) : Exception(message)
{
    /// <summary>Whether something outside went wrong, such as a process, a server or a
    /// file: that is told, and the run goes on.</summary>
    public static bool Covers(Exception e) =>
        e is ProbeException or TimeoutException or IOException or SocketException or System.ComponentModel.Win32Exception;

    /// <summary>What went wrong, out of what a task wraps it in.</summary>
    public static Exception CauseOf(Exception e) => e is AggregateException { InnerException: { } inner } ? inner : e;
}

/// <summary>What decides a cell cannot be tried here, for a program is not installed: that
/// is no transport's fault.</summary>
internal sealed class MissingProgramException(string message) : Exception(message);

/// <summary>Programs on the PATH.</summary>
internal static class InstalledPrograms
{
    public static bool Has(string name) => PathOf(name) is not null;

    public static string? PathOf(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Where(static d => d.Length > 0).Select(d => Path.Combine(d, name))
        .FirstOrDefault(File.Exists);
}
