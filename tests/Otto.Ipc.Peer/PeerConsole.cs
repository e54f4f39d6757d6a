using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Otto.Ipc.Peer;

// A peer says what it is about to do and what it did, one line each, unbuffered: what a killed process said stays in the pipe.
// Every line ends with the machine's monotonic time, which all processes share. A line on standard input, or its end, says: finish.

internal static class PeerConsole
{
    private static readonly Stream Out = Console.OpenStandardOutput();
    private static readonly Lock Gate = new();
    private static readonly ManualResetEventSlim SecondLine = new();
    private static readonly CancellationTokenSource FinishSource = ReadInput();

    /// <summary>Cancelled when the test says to finish.</summary>
    public static CancellationToken Finish => FinishSource.Token;

    public static bool IsFinishRequested => FinishSource.IsCancellationRequested;

    public static void WriteLine(string line)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line} @{Stopwatch.GetTimestamp()}\n"));
        lock (Gate) Out.Write(bytes);
    }

    public static void WaitForFinish() => Finish.WaitHandle.WaitOne();

    public static void WaitForSecondLine() => SecondLine.Wait();

    /// <summary>Waits as <paramref name="wait"/> does, until it returns or the test says to finish.</summary>
    public static void RunUntilFinish(Action<CancellationToken> wait)
    {
        try
        {
            wait(Finish);
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static CancellationTokenSource ReadInput()
    {
        var told = new CancellationTokenSource();
        new Thread(() =>
        {
            _ = Console.In.ReadLine();
            told.Cancel();
            _ = Console.In.ReadLine();
            SecondLine.Set();
        })
        { IsBackground = true }.Start();
        return told;
    }
}
