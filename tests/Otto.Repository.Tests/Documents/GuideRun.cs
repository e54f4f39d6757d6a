using System.Diagnostics;

namespace Otto.Repository.Tests.Documents;

// A page followed by its reader: a directory of its own, terminals, and "dotnet run", which runs the page's latest program.

internal sealed class GuideRun : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly string _directory = Directory.CreateDirectory(
        $"/dev/shm/otto-guides-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}", Private).FullName;
    private readonly Dictionary<string, string> _environment;
    private readonly List<Process> _terminals = [];
    private int _programs;

    public GuideRun(string redis)
    {
        string bin = Directory.CreateDirectory(Path.Combine(_directory, ".bin")).FullName;
        string dotnet = Path.Combine(bin, "dotnet");
        File.WriteAllText(dotnet, """
            #!/usr/bin/env bash
            [[ $1 == run ]] || { echo "only dotnet run is known here" >&2; exit 1; }
            shift
            [[ ${1-} != -- ]] || shift
            exec "$GUIDE_DOTNET" "$GUIDE_PROGRAM" "$@"

            """);
        File.SetUnixFileMode(dotnet, Private);
        _environment = new()
        {
            ["PATH"] = $"{bin}:{Repository.PathOf("artifacts/bin")}:{Environment.GetEnvironmentVariable("PATH")}",
            ["GUIDE_DOTNET"] = Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet",
            ["PYTHONPATH"] = Repository.PathOf("clients/python"),
            ["PYTHONDONTWRITEBYTECODE"] = "1",
            ["OTTO_SHM_DIR"] = _directory,
            ["OTTO_MMAP_DIR"] = _directory,
            ["OTTO_FIFO_DIR"] = _directory,
            ["OTTO_SOCKET"] = Path.Combine(_directory, "otto.sock"),
            ["OTTO_REDIS"] = "none",
            ["TMPDIR"] = _directory,
            ["REDIS"] = redis,
        };
    }

    /// <summary>Compiles a program; "dotnet run" runs it from now on.</summary>
    public void Use(string source)
    {
        var (assembly, errors) = GuideProgram.Compile(source, Path.Combine(_directory, $".program{++_programs}"));
        Assert.That(errors, Is.Empty);
        _environment["GUIDE_PROGRAM"] = assembly!;
    }

    /// <summary>Runs a command to its end.</summary>
    /// <returns>What it printed. Its exit code does not count: a program of a guide may be killed.</returns>
    public (string Output, string Errors) Run(string program, params string[] arguments)
    {
        using Process process = Start(program, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        if (process.WaitForExit(Limit)) return (output.Result, errors.Result);
        process.Kill(entireProcessTree: true);
        throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end; so far\n{output.Result}\n{errors.Result}");
    }

    /// <summary>Starts a command in a terminal of its own. Returns with its first line: it is ready.</summary>
    public void Open(string script)
    {
        Process process = Start("bash", ["-c", script]);
        _terminals.Add(process);
        Task<string?> line = process.StandardOutput.ReadLineAsync();
        Assert.That(line.Wait(Limit) && line.Result is not null, $"not ready: {script}");
        _ = process.StandardOutput.ReadToEndAsync();
        _ = process.StandardError.ReadToEndAsync();
    }

    public void Dispose()
    {
        foreach (Process process in _terminals)
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            process.WaitForExit();
            process.Dispose();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private Process Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = _directory, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        string[] inherited = [.. start.Environment.Keys.Where(static name => name.StartsWith("OTTO_", StringComparison.Ordinal))];
        foreach (string name in inherited) start.Environment.Remove(name);
        foreach ((string name, string value) in _environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
