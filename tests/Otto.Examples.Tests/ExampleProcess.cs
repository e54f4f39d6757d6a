using System.Diagnostics;
using Otto.Queue.Tests.Support;

namespace Otto.Examples.Tests;

// An example as a user starts it, with segments of the test's own.

internal sealed class ExampleProcess : IDisposable
{
    private readonly Process _process;

    private ExampleProcess(Process process) => _process = process;

    public static ExampleProcess Start(string example, string segments, IReadOnlyDictionary<string, string> settings,
        params string[] arguments)
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Otto.Ipc.sln"))) root = Path.GetDirectoryName(root)!;
        // Built beside us, by the same configuration.
        string output = AppContext.BaseDirectory.TrimEnd('/')[(root.Length + "/tests/Otto.Examples.Tests/".Length)..];
        var start = new ProcessStartInfo(Path.Combine(root, "examples", example, output, example),
            arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OTTO_SHM_DIR"] = segments;
        foreach ((string key, string value) in settings) start.Environment[key] = value;
        return new ExampleProcess(Process.Start(start)!);
    }

    public async Task<string> LineAsync() =>
        await _process.StandardOutput.ReadLineAsync().Soon()
        ?? throw new IOException($"it ended: {await _process.StandardError.ReadToEndAsync()}");

    /// <summary>Waits for its end, which must be a good one.</summary>
    public async Task<string[]> EndAsync()
    {
        Task<string> output = _process.StandardOutput.ReadToEndAsync(), errors = _process.StandardError.ReadToEndAsync();
        await _process.WaitForExitAsync().Soon();
        Assert.That((_process.ExitCode, await errors), Is.EqualTo((0, "")), await output);
        return (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>As Ctrl-C would.</summary>
    public async Task<string[]> InterruptAsync()
    {
        using Process kill = Process.Start("kill", ["-INT", $"{_process.Id}"]);
        await kill.WaitForExitAsync();
        return await EndAsync();
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }
}
