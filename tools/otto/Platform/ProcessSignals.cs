using System.Globalization;
using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// Signals to other processes. .NET receives signals (PosixSignalRegistration) and sends only SIGKILL (Process.Kill).

internal static partial class ProcessSignals
{
    /// <summary>SIGTERM: asks a program to end.</summary>
    public const int Terminate = 15;

    /// <summary>Sends the signal that this process received to another.</summary>
    /// <param name="process">The process id.</param>
    /// <param name="number">The signal's number.</param>
    public static void Send(int process, int number) => _ = Kill(process, number);

    /// <summary>Gets the number of a signal that .NET names.</summary>
    public static int NumberOf(PosixSignal signal) => signal switch
    {
        PosixSignal.SIGHUP => 1,
        PosixSignal.SIGINT => 2,
        PosixSignal.SIGQUIT => 3,
        PosixSignal.SIGTERM => Terminate,
        _ => throw new ArgumentOutOfRangeException(nameof(signal), $"the signal {signal} is not passed on"),
    };

    /// <summary>Whether this process ignores a signal, as nohup and a script's "&amp;" make it.</summary>
    public static bool IsIgnored(PosixSignal signal)
    {
        const string Field = "SigIgn:";
        string line = File.ReadLines("/proc/self/status").First(static l => l.StartsWith(Field, StringComparison.Ordinal));
        ulong ignored = ulong.Parse(line.AsSpan(Field.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (ignored & (1UL << (NumberOf(signal) - 1))) != 0;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
