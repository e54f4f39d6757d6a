using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Clients.Tests;

// A directory of a test's own, a real server in a process of its own, and the real bash, nc, socat, jq and python3 that talk to it.

internal sealed record ProgramResult(int Code, string Output, string Errors)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"exit {Code}\n{Output}{Errors}");
}

internal sealed class ClientWorkspace : IDisposable
{
    private static int _count;
    private Socket? _silent;
    private readonly List<Process> _started = [];
    private Process? _server;

    public ClientWorkspace()
    {
        Directory = string.Create(CultureInfo.InvariantCulture,
            $"/dev/shm/otto-clients-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public string Directory { get; }

    public string SocketPath => Path.Combine(Directory, "otto.sock");

    public static string Clients { get; } = FindClients();

    /// <summary>Starts the server; ready to be asked when this returns.</summary>
    public void Serve(params string[] options)
    {
        _server = Start(DotNet(), [Path.Combine(AppContext.BaseDirectory, "Otto.Ipc.Uds.Peer.dll"), "serve", SocketPath, .. options]);
        Assert.That(ReadLine(_server), Is.EqualTo("ready"));
    }

    public void KillServer()
    {
        _server!.Kill();
        _server.WaitForExit();
    }

    /// <summary>Listens, so that connections are accepted by the system, and never answers.</summary>
    public void ServeSilence()
    {
        _silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _silent.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _silent.Listen();
    }

    /// <summary>Runs a script that has loaded otto.sh.</summary>
    public ProgramResult Bash(string script, string? input = null, params (string Name, string Value)[] environment) =>
        Run("bash", ["-c", $". '{Clients}/bash/otto.sh'\n{script}"], input, environment);

    /// <summary>Runs a Python program that can import otto.</summary>
    public ProgramResult Python(string program, params (string Name, string Value)[] environment) =>
        Run("python3", ["-W", "error", "-c", program], null, environment);

    public ProgramResult Run(string program, string[] arguments, string? input, params (string Name, string Value)[] environment)
    {
        Process process = Start(program, arguments, environment);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        try
        {
            if (input is not null) process.StandardInput.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It did not want to hear all of it.
        }

        if (!process.WaitForExit(Watchdog.BulkLimit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} did not end: {string.Join(' ', arguments)}");
        }

        return new ProgramResult(process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Starts a program and leaves it running until the test is over.</summary>
    public Process Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Directory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = Encoding.UTF8,
        };
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("OTTO_", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        start.Environment["OTTO_SOCKET"] = SocketPath;
        start.Environment["OTTO_MMAP_DIR"] = Directory;
        start.Environment["PYTHONPATH"] = Path.Combine(Clients, "python");
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        Process process = Process.Start(start)!;
        lock (_started) _started.Add(process);
        return process;
    }

    public static string? ReadLine(Process process)
    {
        Task<string?> line = process.StandardOutput.ReadLineAsync();
        return line.Wait(Watchdog.Limit) ? line.Result
            : throw new TimeoutException($"process {process.Id} said nothing for {Watchdog.Limit}");
    }

    public static string DotNet() => Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet";

    public void Dispose()
    {
        _silent?.Dispose();
        lock (_started)
        {
            foreach (Process process in _started)
            {
                if (!process.HasExited) process.Kill(entireProcessTree: true);
                process.WaitForExit();
                process.Dispose();
            }
        }

        string[] left = [.. System.IO.Directory.GetFiles(Directory, "*.new.*")];
        System.IO.Directory.Delete(Directory, recursive: true);
        Assert.That(left, Is.Empty, "half-made files left behind");
    }

    private static string FindClients()
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Otto.Ipc.sln"))) root = Path.GetDirectoryName(root)!;
        return Path.Combine(root, "clients");
    }
}
