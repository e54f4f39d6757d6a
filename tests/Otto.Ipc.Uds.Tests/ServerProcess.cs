using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests;

// A server in a process of its own, to be killed, and programs of others that talk to it.

/// <summary>A run of Otto.Ipc.Uds.Peer.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _errors;

    public ServerProcess(params string[] arguments)
        : this([], arguments)
    {
    }

    public ServerProcess(IReadOnlyList<(string Name, string Value)> environment, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Uds.Peer.dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public int Id => _process.Id;

    public string Errors => _errors.Result;

    public static ServerProcess Serve(string path, params string[] options) => ServeWith([], path, options);

    public static ServerProcess ServeWith(
        IReadOnlyList<(string Name, string Value)> environment, string path, params string[] options)
    {
        var server = new ServerProcess(environment, ["serve", path, .. options]);
        Assert.That(server.ReadLine(), Is.EqualTo("ready"), () => server.Errors);
        return server;
    }

    public string? ReadLine()
    {
        Task<string?> line = _process.StandardOutput.ReadLineAsync();
        return line.Wait(Watchdog.Limit) ? line.Result : throw new TimeoutException($"process {Id} said nothing for {Watchdog.Limit}");
    }

    /// <summary>Writes a line to its standard input, and reads one of its output.</summary>
    public string? Ask(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
        return ReadLine();
    }

    /// <summary>A figure of /proc/pid/status, in kB.</summary>
    public long Status(string name)
    {
        string line = File.ReadLines($"/proc/{Id}/status").First(l => l.StartsWith(name + ":", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^2].Replace(name + ":",
            "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture);
    }

    /// <summary>SIGKILL; returns when it is dead.</summary>
    public void Kill()
    {
        _process.Kill();
        WaitForExit();
    }

    public int WaitForExit()
    {
        if (!_process.WaitForExit(Watchdog.Limit)) throw new TimeoutException($"process {Id} ran for more than {Watchdog.Limit}");
        return _process.ExitCode;
    }

    /// <summary>Lets it end by itself.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(Watchdog.Limit)) _process.Kill();
        }

        _process.Dispose();
    }
}

/// <summary>A server that is killed and has successors.</summary>
internal sealed class RestartableServer(string path) : IDisposable
{
    private ServerProcess? _process = ServerProcess.Serve(path);

    public int Id => _process!.Id;

    public void Kill()
    {
        _process!.Kill();
        _process.Dispose();
        _process = null;
    }

    public void Restart()
    {
        if (_process is not null) Kill();
        _process = ServerProcess.Serve(path);
    }

    public void Dispose() => _process?.Dispose();
}

/// <summary>A program of another's, run to its end.</summary>
internal static class ExternalProgram
{
    /// <summary>Runs a shell script with the socket's path in OTTO_SOCKET.</summary>
    public static Outcome Bash(string socket, string script) => Run(socket, "bash", "-c", script);

    public static Outcome Python(string socket, string program) => Run(socket, "python3", "-c", program);

    public static Outcome Run(string socket, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true,
            RedirectStandardError = true };
        start.Environment["OTTO_SOCKET"] = socket;
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(60)))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} does not end: {string.Join(' ', arguments)}");
        }

        return new Outcome(process.ExitCode, output.Result, errors.Result);
    }
}

internal sealed record Outcome(int Code, string Output, string Errors)
{
    public override string ToString() => $"exit {Code}\n{Output}{Errors}";
}
