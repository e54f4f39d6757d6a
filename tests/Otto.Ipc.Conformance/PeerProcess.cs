using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Otto.Ipc.Conformance;

// Another process, started, heard, signalled and ended for certain.

/// <summary>A run of Otto.Ipc.Peer.</summary>
public sealed partial class PeerProcess : IDisposable
{
    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly string _what;
    private readonly Task _reading;
    private readonly int _id;
    private string _errors = "";
    private bool _disposed;

    /// <param name="directory">Where its segments are.</param>
    /// <param name="environment">More variables.</param>
    /// <param name="arguments">The verb and what follows it.</param>
    /// <param name="launcher">
    /// What stands before its command line; left out, nothing. See <see cref="Namespaces"/>.
    /// </param>
    /// <param name="program">Another program that is built beside the tests.</param>
    public PeerProcess(string directory, IReadOnlyList<(string Name, string Value)> environment, IReadOnlyList<string> arguments,
        IReadOnlyList<string>? launcher = null, string program = "Otto.Ipc.Peer")
    {
        ArgumentNullException.ThrowIfNull(arguments);
        ArgumentNullException.ThrowIfNull(environment);
        _what = string.Join(' ', arguments.Concat(environment.Select(e => $"{e.Name}={e.Value}")));
        string[] command = [.. launcher ?? [], Host()];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, $"{program}.dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["OTTO_SHM_DIR"] = directory;
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        _process = Process.Start(start) ?? throw new InvalidOperationException("no process was started");
        _id = _process.Id;
        _reading = Task.WhenAll(Watchdog.RunOnThread(ReadLines), Watchdog.RunOnThread(() => _errors = _process.StandardError.ReadToEnd()));
    }

    public int Id => _id;

    public bool HasExited => _disposed || _process.HasExited;

    /// <summary>When its last descriptor was closed, in Stopwatch ticks: a death by SIGKILL shows here.</summary>
    public long EndedAt { get; private set; }

    public string Errors => _errors;

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_lines) return [.. _lines];
        }
    }

    /// <summary>Waits for a line that begins like this.</summary>
    public string WaitFor(string beginning, TimeSpan? limit = null)
    {
        string? found = null;
        Watchdog.Until(
            () =>
            {
                lock (_lines) found = _lines.Find(line => line.StartsWith(beginning, StringComparison.Ordinal));
                if (found is null && HasExited && _reading.IsCompleted)
                {
                    lock (_lines) found = _lines.Find(line => line.StartsWith(beginning, StringComparison.Ordinal));
                    if (found is null) Assert.Fail(
                        $"'{_what}' ended with {_process.ExitCode} before it said '{beginning}'; it said: {Tail()}");
                }

                return found is not null;
            },
            $"'{beginning}' from '{_what}'",
            limit);
        return found!;
    }

    public void Say(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It is gone; whoever waits for its answer will hear so.
        }
    }

    /// <summary>Waits for it to end by itself.</summary>
    /// <returns>The exit code; 128 and the signal where a signal ended it.</returns>
    public int WaitForExit(TimeSpan? limit = null)
    {
        if (!_process.WaitForExit(limit ?? Watchdog.Limit)) Assert.Fail($"'{_what}' does not end; it said: {Tail()}");
        _reading.Wait(Watchdog.Limit);
        return _process.ExitCode;
    }

    public void Kill()
    {
        Signal(9);
        _process.WaitForExit();
        _reading.Wait(Watchdog.Limit);
    }

    public void Signal(int number)
    {
        if (!HasExited) _ = SendSignal(_id, number);
    }

    /// <summary>Whether every thread is stopped, as the kernel tells it.</summary>
    public bool IsStopped
    {
        get
        {
            try
            {
                string stat = File.ReadAllText($"/proc/{_id.ToString(CultureInfo.InvariantCulture)}/stat");
                return stat[stat.LastIndexOf(')') + 2] == 'T';
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    public void Dispose()
    {
        if (_disposed) return;
        Signal(18); // a stopped process dies of SIGKILL too, but its parent should not find it stopped
        if (!HasExited) Kill();
        _reading.Wait(Watchdog.Limit);
        _process.Dispose();
        _disposed = true;
    }

    public override string ToString() => $"{_what} (pid {_id})";

    private string Tail() => string.Join(" | ", Lines.TakeLast(5)) + " " + _errors;

    private void ReadLines()
    {
        while (_process.StandardOutput.ReadLine() is { } line)
        {
            lock (_lines) _lines.Add(line);
        }

        EndedAt = Stopwatch.GetTimestamp();
    }

    private static string Host() =>
        Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet";

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int pid, int signal);
}
