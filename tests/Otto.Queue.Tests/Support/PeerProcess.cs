using System.Collections.Concurrent;
using System.Diagnostics;

namespace Otto.Queue.Tests.Support;

// A real second process, to be killed.

internal sealed class PeerProcess : IDisposable
{
    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly ConcurrentQueue<string> _errors = new();

    private PeerProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, e) => { if (e.Data is not null) _lines.Enqueue(e.Data); };
        _process.ErrorDataReceived += (_, e) => { if (e.Data is not null) _errors.Enqueue(e.Data); };
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    internal IReadOnlyCollection<string> Lines => _lines;

    internal static PeerProcess Start(params string[] args) => Start([], args);

    internal static PeerProcess Start(Dictionary<string, string> environment, params string[] args) => Start([], environment, args);

    /// <summary>Starts a peer behind a launcher that gives it another kernel, or namespaces of its own.</summary>
    internal static PeerProcess StartIn(IReadOnlyList<string> launcher, params string[] args) => Start(launcher, [], args);

    private static PeerProcess Start(IReadOnlyList<string> launcher, Dictionary<string, string> environment, string[] args)
    {
        string dll = Path.Combine(AppContext.BaseDirectory, "Otto.Queue.Peer.dll");
        string dotnet = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
        string[] command = [.. launcher, dotnet];
        ProcessStartInfo start = new(command[0], command[1..])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };
        start.ArgumentList.Add(dll);
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        foreach (string arg in args) start.ArgumentList.Add(arg);
        return new PeerProcess(start);
    }

    /// <summary>As <see cref="Start(string[])"/>, in a process that may have so many descriptors open.</summary>
    internal static PeerProcess StartLimited(int descriptors, params string[] args) =>
        StartIn(["bash", "-c", $"ulimit -n {descriptors}; exec \"$@\"", "bash"], args);

    /// <summary>What it said behind the first such word.</summary>
    internal string Heard(string word) => _lines.First(l => l.StartsWith(word + " ", StringComparison.Ordinal))[(word.Length + 1)..];

    internal Task SaysAsync(string line) => SaysAsync(line, 1);

    internal async Task SaysAsync(string prefix, int times)
    {
        await Eventually.Holds(() => _lines.Count(l => l.StartsWith(prefix, StringComparison.Ordinal)) >= times || _process.HasExited,
            $"peer says '{prefix}' {times} times; errors: {string.Join('\n', _errors)}");
        if (_process.HasExited) await ExitAsync(); // Its last lines are read by then.
        Assert.That(_lines.Count(l => l.StartsWith(prefix, StringComparison.Ordinal)), Is.GreaterThanOrEqualTo(times),
            string.Join('\n', _errors));
    }

    internal bool HasExited => _process.HasExited;

    /// <summary>SIGKILL: no code of the peer runs after this.</summary>
    internal void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>SIGSTOP: alive, and doing nothing.</summary>
    internal void Pause() => Signal(19);

    internal void Resume() => Signal(18);

    // By number: in a Turkish locale kill of procps does not know -CONT.
    private void Signal(int number)
    {
        using Process kill = Process.Start("kill", [$"-{number}", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>How often it said something that begins so.</summary>
    internal int Said(string prefix) => _lines.Count(l => l.StartsWith(prefix, StringComparison.Ordinal));

    internal async Task StopAsync()
    {
        await _process.StandardInput.WriteLineAsync();
        await _process.WaitForExitAsync().Soon();
    }

    internal Task ExitAsync() => _process.WaitForExitAsync().Soon();

    public void Dispose()
    {
        if (!_process.HasExited) Kill();
        _process.Dispose();
    }
}
