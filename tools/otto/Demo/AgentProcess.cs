using System.Diagnostics;

namespace Otto.Tools.Demo;

// The second process: this program again. It ends when its standard input does, so it cannot outlive a parent that was killed.

internal sealed class AgentProcess : IDisposable
{
    public const string Command = "demo-agents";
    private readonly Process _process;

    private AgentProcess(Process process) => _process = process;

    public bool HasExited => _process.HasExited;

    public static AgentProcess Start(string segments, string directory)
    {
        string self = Environment.ProcessPath ?? throw new IOException("the program does not know its own path");
        var start = new ProcessStartInfo(self) { RedirectStandardInput = true, RedirectStandardOutput = true };
        // Started through the dotnet host the program is its first argument.
        if (Path.GetFileNameWithoutExtension(self) == "dotnet") start.ArgumentList.Add(typeof(AgentProcess).Assembly.Location);
        foreach (string argument in (string[])[Command, segments, directory]) start.ArgumentList.Add(argument);
        return new AgentProcess(Process.Start(start) ?? throw new IOException($"{self} could not be started"));
    }

    public async Task ReadyAsync(CancellationToken cancellation)
    {
        if (await _process.StandardOutput.ReadLineAsync(cancellation) != "ready") throw new IOException("the second process ended before it was ready; its message is above");
    }

    /// <summary>Lets it stop by itself.</summary>
    public void Finish()
    {
        _process.StandardInput.Close();
        _process.WaitForExit(DemoSettings.Patience);
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }
}
