using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// A program that runs in a process group of its own, and everything that it started there. .NET's Process must not be used beside it: all
// children of this process are waited for here, also those that came to it when their own parent ended.

internal sealed partial class ProcessGroup
{
    private const int Child = 17, WithoutWaiting = 1, Kill = 9, Continue = 18, BecomeReaper = 36;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10), KillLimit = TimeSpan.FromSeconds(5);

    private static readonly Lock s_gate = new();
    private static readonly Dictionary<int, TaskCompletionSource<int>> s_running = [];
    private static PosixSignalRegistration? s_registration;

    private ProcessGroup(int id, Task<int> exited)
    {
        Id = id;
        Exited = exited;
    }

    /// <summary>Gets the id of the program's process and of the group.</summary>
    public int Id { get; }

    /// <summary>Gets a task that ends when the program has ended, whatever it left running: its exit code, or 128 and
    /// the number of the signal that ended it.</summary>
    public Task<int> Exited { get; }

    /// <summary>Gets this process's environment as bytes: what is no UTF-8 stays as it is.</summary>
    public static IReadOnlyList<byte[]> Environment { get; } = ReadEnvironment();

    /// <summary>Starts a program, as <see cref="PosixSpawn.Start"/> does.</summary>
    public static ProcessGroup Start(string path, string[] arguments, IReadOnlyList<byte[]> environment, ReadOnlySpan<int> descriptors)
    {
        lock (s_gate)
        {
            s_registration ??= Watch();
            // Under the gate: it may end before it is entered here, and nobody must wait for it until then.
            int id = PosixSpawn.Start(path, arguments, environment, descriptors);
            var exited = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            s_running.Add(id, exited);
            return new ProcessGroup(id, exited.Task);
        }
    }

    /// <summary>Sends a signal to every process of the group.</summary>
    public void Signal(int number) => Signal(Id, number);

    /// <summary>Sends a signal to every process of a group.</summary>
    /// <returns>Whether there was one.</returns>
    public static bool Signal(int group, int number) => Send(-group, number) == 0;

    /// <summary>Ends the group: SIGTERM, then SIGKILL if one of its processes is still there after
    /// <paramref name="grace"/>.</summary>
    /// <param name="grace">How long they get.</param>
    /// <param name="hurry">Ends the grace early.</param>
    public async Task EndAsync(TimeSpan grace, CancellationToken hurry)
    {
        Signal(ProcessSignals.Terminate);
        Signal(Continue); // A stopped process would not receive the other one.
        if (!await HasEndedAsync(grace, hurry))
        {
            Signal(Kill);
            await HasEndedAsync(KillLimit, CancellationToken.None);
        }
    }

    private async Task<bool> HasEndedAsync(TimeSpan limit, CancellationToken hurry)
    {
        for (long start = System.Environment.TickCount64; ;)
        {
            // Until it has been waited for the program itself counts, although it has ended.
            if (Exited.IsCompleted && !Signal(Id, 0)) return true;
            if (hurry.IsCancellationRequested || System.Environment.TickCount64 - start >= limit.TotalMilliseconds) return false;
            await Task.Delay(Look, CancellationToken.None);
        }
    }

    private static PosixSignalRegistration Watch()
    {
        if (OperatingSystem.IsWindows()) throw new PlatformNotSupportedException("commands for tasks need process groups");
        // Where this program was started with it ignored, the system would not keep exit codes.
        _ = SetHandler(Child, 0);
        // What a command leaves is waited for here once it ends: a group is then seen to be gone even where the first process of a
        // container waits for nobody.
        _ = ControlProcess(BecomeReaper, 1, 0, 0, 0);
        return PosixSignalRegistration.Create(PosixSignal.SIGCHLD, static _ => Collect());
    }

    // One signal may stand for several children.
    private static void Collect()
    {
        lock (s_gate)
        {
            while (WaitFor(-1, out int status, WithoutWaiting) is > 0 and int id)
            {
                int signal = status & 0x7f;
                if (s_running.Remove(id, out TaskCompletionSource<int>? exited))
                    exited.SetResult(signal == 0 ? (status >> 8) & 0xff : 128 + signal);
            }
        }
    }

    private static List<byte[]> ReadEnvironment()
    {
        List<byte[]> all = [];
        ReadOnlySpan<byte> bytes = File.ReadAllBytes("/proc/self/environ");
        foreach (Range range in bytes.Split((byte)0))
            if (bytes[range].Length > 0) all.Add(bytes[range].ToArray());
        return all;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Send(int process, int signal);

    [LibraryImport("libc", EntryPoint = "waitpid")]
    private static partial int WaitFor(int process, out int status, int options);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ControlProcess(int what, nint first, nint second, nint third, nint fourth);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetHandler(int signal, nint handler);
}
