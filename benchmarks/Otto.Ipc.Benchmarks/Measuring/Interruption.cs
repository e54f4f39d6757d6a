using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Ipc.Benchmarks.Measuring;

// A run that is told to stop (Ctrl-C, SIGTERM, SIGHUP) takes with it what it made: first its processes, for they would go on writing, then
// whatever lies where scratch lies and has this process in its name.

internal static class Interruption
{
    private const int BySignal = 128;
    private static readonly HashSet<Process> Children = [];
    private static readonly List<PosixSignalRegistration> Registrations = [];

    // Who clears up enters and never leaves: a probe that fails because its process was killed would go on
    // to the next one, behind the broom.
    private static readonly Lock Gate = new();

    /// <summary>How every scratch directory and file of this process begins.</summary>
    public static string Prefix { get; } = FormattableString.Invariant($"otto-bench-{Environment.ProcessId}-");

    /// <summary>A directory in memory, where there is such a file system.</summary>
    public static string InMemory => Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();

    /// <summary>Where scratch lies.</summary>
    public static IEnumerable<string> Parents =>
        new[] { InMemory, Path.GetTempPath(), "/var/tmp", Environment.CurrentDirectory }.Where(Directory.Exists).Distinct();

    /// <summary>A path that is nobody's yet. What a process of ours makes there goes with this process.</summary>
    public static string NewPath(string parent) => Path.Combine(parent, Prefix + Guid.NewGuid().ToString("N")[..12]);

    /// <summary>A directory for its owner alone, that goes with this process.</summary>
    public static DirectoryInfo NewDirectory(string parent)
    {
        lock (Gate)
        {
            return OperatingSystem.IsLinux()
                ? Directory.CreateDirectory(NewPath(parent), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)
                : Directory.CreateDirectory(NewPath(parent));
        }
    }

    /// <summary>Removes a directory before this process ends.</summary>
    public static void Remove(DirectoryInfo directory)
    {
        lock (Gate) directory.Delete(recursive: true);
    }

    /// <summary>From now on what was made here is taken along at the end, however it comes
    /// about, but by SIGKILL.</summary>
    public static void Guard()
    {
        // Not in the handlers: what fails when its processes are gone may end the program before a handler has come to its end.
        AppDomain.CurrentDomain.ProcessExit += static (_, _) => Clear();
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
        {
            Registrations.Add(PosixSignalRegistration.Create(signal, static context =>
            {
                context.Cancel = true;
                Environment.Exit(BySignal + context.Signal switch { PosixSignal.SIGHUP => 1, PosixSignal.SIGINT => 2, _ => 15 });
            }));
        }
    }

    /// <summary>A process that ends with this one.</summary>
    public static Process Start(ProcessStartInfo start)
    {
        lock (Gate)
        {
            Process process = Process.Start(start)!;
            Children.Add(process);
            return process;
        }
    }

    /// <summary>Forgets a process that has ended, and gives it back.</summary>
    public static void Ended(Process process)
    {
        lock (Gate)
        {
            Children.Remove(process);
            process.Dispose();
        }
    }

    private static void Clear()
    {
        Gate.Enter();
        foreach (Process child in Children)
        {
            try
            {
                child.Kill(entireProcessTree: true);
                child.WaitForExit();
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It is gone already.
            }
        }

        foreach (string path in Parents.SelectMany(static p => Directory.GetFileSystemEntries(p, Prefix + "*")))
        {
            try
            {
                if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
                else File.Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine($"  left behind: {path} ({e.Message})");
            }
        }
    }
}
