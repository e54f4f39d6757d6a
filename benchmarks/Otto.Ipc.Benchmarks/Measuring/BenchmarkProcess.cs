using System.Diagnostics;

namespace Otto.Ipc.Benchmarks.Measuring;

// The other process is this program again, told by hidden arguments what to be.

internal sealed class BenchmarkProcess : IDisposable
{
    private readonly Process _process;

    public BenchmarkProcess(params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true };
        start.ArgumentList.Add("peer");
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        _process = Interruption.Start(start);
    }

    /// <summary>Whether the other side still runs; a wait for it checks this, so that a
    /// crash there is not a hang here.</summary>
    public bool IsRunning => !_process.HasExited;

    public int Id => _process.Id;

    /// <summary>Ends the input of a peer that runs as long as there is some.</summary>
    public void CloseInput() => _process.StandardInput.Close();

    public void Dispose()
    {
        if (!_process.WaitForExit(TimeSpan.FromSeconds(20))) _process.Kill();
        Interruption.Ended(_process);
    }
}

/// <summary>A directory for the segments of one measurement, gone afterwards.</summary>
internal sealed class ScratchDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Interruption.NewDirectory(Interruption.InMemory);

    public string Path => _directory.FullName;

    public static ScratchDirectory InSharedMemory() => new();

    private ScratchDirectory()
    {
    }

    public void Dispose() => Interruption.Remove(_directory);
}
