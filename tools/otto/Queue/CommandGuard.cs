using System.Globalization;
using System.IO.Pipes;
using System.Text;
using Otto.Tools.Platform;

namespace Otto.Tools.Queue;

// The worker's side of the guard process: names the commands that run, so that they end with this process, however it ends. A guard that
// was killed is replaced.

internal sealed class CommandGuard : IDisposable
{
    // A beat comes much more often than a lease of Redis (30 s) ends, and silence is noticed before it does.
    private const int BeatMilliseconds = 1000, SilenceMilliseconds = 18_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _runs = [];
    private readonly bool _leasesByTime;
    private readonly Timer? _beat;
    private AnonymousPipeServerStream? _pipe;
    private bool _disposed;

    /// <summary>Creates it, without its process.</summary>
    /// <param name="leasesByTime">Whether another worker gets the tasks of one that is only stopped: its commands
    /// then end before that.</param>
    public CommandGuard(bool leasesByTime)
    {
        _leasesByTime = leasesByTime;
        if (leasesByTime) _beat = new Timer(_ => Beat(), null, BeatMilliseconds, BeatMilliseconds);
    }

    /// <summary>Starts the guard and waits until it runs: a worker that is killed in its first moments has one
    /// too.</summary>
    public async Task StartAsync()
    {
        using var ready = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.None);
        lock (_gate) Replace((int)ready.ClientSafePipeHandle.DangerousGetHandle());
        ready.DisposeLocalCopyOfClientHandle();
        // A byte, or the end where it could not run: then the next command brings another.
        await ready.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false);
    }

    /// <summary>Starts a command under the guard.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="arguments">The arguments; the first is the program's name.</param>
    /// <param name="variables">Added to the environment.</param>
    /// <param name="standardStreams">As <see cref="PosixSpawn.Start"/> has them.</param>
    public GuardedCommand Start(string path, string[] arguments, (string Name, string Value)[] variables, ReadOnlySpan<int> standardStreams)
    {
        string run = Guid.NewGuid().ToString("n");
        lock (_gate)
        {
            _runs.Add(run, 0);
            Tell(GuardProcess.Announce(run));
        }

        try
        {
            List<byte[]> environment = Environment([.. variables, (GuardProcess.Variable, run)]);
            ProcessGroup group = ProcessGroup.Start(path, arguments, environment, standardStreams);
            lock (_gate)
            {
                _runs[run] = group.Id;
                Tell(GuardProcess.Started(run, group.Id));
            }

            return new GuardedCommand(this, run, group);
        }
        catch
        {
            End(run);
            throw;
        }
    }

    public void Dispose()
    {
        _beat?.Dispose();
        lock (_gate)
        {
            _disposed = true;
            _pipe?.Dispose();
        }
    }

    internal void End(string run)
    {
        lock (_gate)
        {
            _runs.Remove(run);
            Tell(GuardProcess.Ended(run));
        }
    }

    private void Beat()
    {
        lock (_gate)
            if (_runs.Count > 0) Tell(GuardProcess.Beat);
    }

    private void Tell(string line)
    {
        if (_disposed) return;
        if (_pipe is null || !TryWrite(_pipe, line)) Replace();
    }

    private static bool TryWrite(AnonymousPipeServerStream pipe, string line)
    {
        try
        {
            pipe.Write(Encoding.ASCII.GetBytes(line));
            return true;
        }
        catch (IOException)
        {
            return false; // The guard was killed.
        }
    }

    private void Replace(int output = PosixSpawn.Nothing)
    {
        _pipe?.Dispose();
        AnonymousPipeServerStream pipe = _pipe = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        string self = System.Environment.ProcessPath ?? throw new IOException("the program does not know its own path");
        // Started through the dotnet host the program is its first argument.
        string[] program = Path.GetFileNameWithoutExtension(self) == "dotnet" ? [Path.Combine(AppContext.BaseDirectory, "otto.dll")] : [];
        string silence = (_leasesByTime ? SilenceMilliseconds : 0).ToString(CultureInfo.InvariantCulture);
        ProcessGroup process = ProcessGroup.Start(self, [GuardProcess.Command, .. program, GuardProcess.Command, silence],
            ProcessGroup.Environment, [(int)pipe.ClientSafePipeHandle.DangerousGetHandle(), output, PosixSpawn.Nothing]);
        pipe.DisposeLocalCopyOfClientHandle();
        foreach ((string run, int group) in _runs)
            TryWrite(pipe, group == 0 ? GuardProcess.Announce(run) : GuardProcess.Started(run, group));
        _ = ReplaceWhenEndedAsync(process, pipe);
    }

    private async Task ReplaceWhenEndedAsync(ProcessGroup process, AnonymousPipeServerStream pipe)
    {
        await process.Exited;
        lock (_gate)
        {
            if (_disposed || !ReferenceEquals(_pipe, pipe)) return;
            // Not at once where nothing runs: the next command brings another.
            if (_runs.Count > 0) Replace();
            else _pipe = null;
        }
    }

    private static List<byte[]> Environment((string Name, string Value)[] variables)
    {
        List<byte[]> all = [];
        byte[][] names = [.. variables.Select(static v => Encoding.UTF8.GetBytes(v.Name + "="))];
        foreach (byte[] variable in ProcessGroup.Environment)
            if (!Array.Exists(names, name => variable.AsSpan().StartsWith(name))) all.Add(variable);
        all.AddRange(variables.Select(static v => Encoding.UTF8.GetBytes($"{v.Name}={v.Value}")));
        return all;
    }
}

/// <summary>A command that runs under the guard. Disposing of it takes it from there, whatever it left
/// running.</summary>
internal sealed class GuardedCommand(CommandGuard guard, string run, ProcessGroup group) : IDisposable
{
    public ProcessGroup Group => group;

    public void Dispose() => guard.End(run);
}
