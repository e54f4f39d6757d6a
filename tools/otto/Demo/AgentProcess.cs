using System.Diagnostics;

namespace Otto.Tools.Demo;

// The second process: this program again. It ends when its standard input does, so it cannot outlive a parent that was killed.

internal sealed class AgentProcess : IDisposable
{
    public const string Command = "demo-agents";
    private const string RedisVariable = "OTTO_DEMO_REDIS";
    private readonly Process _process;

    private AgentProcess(Process process) => _process = process;

    public bool HasExited => _process.HasExited;

    /// <summary>In the second process: the server that the first one named. In the
    /// environment, since everybody may read a process's arguments.</summary>
    public static string RedisServer =>
        Environment.GetEnvironmentVariable(RedisVariable) is { Length: > 0 } server ? server
        : throw new IOException($"{RedisVariable} names no Redis server");

    public static AgentProcess Start(string segments, string directory, string? redis = null)
    {
        string self = Environment.ProcessPath ?? throw new IOException("the program does not know its own path");
        var start = new ProcessStartInfo(self) { RedirectStandardInput = true, RedirectStandardOutput = true };
        // Started through the dotnet host the program is its first argument.
        if (Path.GetFileNameWithoutExtension(self) == "dotnet") start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "otto.dll"));
        foreach (string argument in (string[])[Command, segments, directory]) start.ArgumentList.Add(argument);
        if (redis is not null) start.Environment[RedisVariable] = redis;
        return new AgentProcess(Process.Start(start) ?? throw new IOException($"{self} could not be started"));
    }

    public async Task ReadyAsync(CancellationToken cancellationToken)
    {
        if (await _process.StandardOutput.ReadLineAsync(cancellationToken) != "ready")
            throw new IOException("the second process ended before it was ready; its message is above");
    }

    /// <summary>Lets it stop by itself.</summary>
    public void Finish()
    {
        _process.StandardInput.Close();
        _process.WaitForExit(DemoSettings.ResultTimeout);
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }
}
