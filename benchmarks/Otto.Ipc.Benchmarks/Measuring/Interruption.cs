using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Ipc.Benchmarks.Measuring;

// A run that is told to stop (Ctrl-C, SIGTERM, SIGHUP) takes with it what it made: first its processes, for they would go on writing, then whatever
// lies where scratch lies and has this process in its name.

internal static class Interruption
{
    private const int BySignal = 128;
    private static readonly ConcurrentDictionary<Process, bool> Children = new();
    private static readonly List<PosixSignalRegistration> Registrations = [];

    /// <summary>How every scratch directory and file of this process begins.</summary>
    public static string Prefix { get; } = FormattableString.Invariant($"otto-bench-{Environment.ProcessId}-");

    /// <summary>Where scratch lies.</summary>
    public static IEnumerable<string> Parents => new[] { "/dev/shm", Path.GetTempPath(), "/var/tmp", Environment.CurrentDirectory }.Where(Directory.Exists).Distinct();

    /// <summary>A path that is nobody's yet, and goes with this process.</summary>
    public static string NewPath(string parent) => Path.Combine(parent, Prefix + Guid.NewGuid().ToString("N")[..12]);

    /// <summary>From now on nothing is left behind at the end, however it comes about, but by SIGKILL.</summary>
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
        Process process = Process.Start(start)!;
        Children[process] = true;
        return process;
    }

    /// <summary>Forgets a process that has ended, and gives it back.</summary>
    public static void Ended(Process process)
    {
        Children.TryRemove(process, out _);
        process.Dispose();
    }

    private static void Clear()
    {
        foreach (Process child in Children.Keys)
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
