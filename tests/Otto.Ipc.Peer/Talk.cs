using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Otto.Ipc.Peer;

// A peer says what it is about to do and what it did, one line each, unbuffered: what a killed process said stays in the pipe.
// Every line ends with the machine's monotonic time, which all processes share. A line on standard input, or its end, says: finish.

internal static class Talk
{
    private static readonly Stream Out = Console.OpenStandardOutput();
    private static readonly Lock Gate = new();
    private static readonly ManualResetEventSlim ToldAgain = new();
    private static readonly CancellationTokenSource Told = Listen();

    /// <summary>Cancelled when the test says to finish.</summary>
    public static CancellationToken Finish => Told.Token;

    public static bool ToldToFinish => Told.IsCancellationRequested;

    public static void Say(string line)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line} @{Stopwatch.GetTimestamp()}\n"));
        lock (Gate) Out.Write(bytes);
    }

    public static void AwaitOrder() => Finish.WaitHandle.WaitOne();

    public static void AwaitSecondOrder() => ToldAgain.Wait();

    /// <summary>Waits as <paramref name="wait"/> does, until it returns or the test says to finish.</summary>
    public static void UntilTold(Action<CancellationToken> wait)
    {
        try
        {
            wait(Finish);
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static CancellationTokenSource Listen()
    {
        var told = new CancellationTokenSource();
        new Thread(() =>
        {
            _ = Console.In.ReadLine();
            told.Cancel();
            _ = Console.In.ReadLine();
            ToldAgain.Set();
        })
        { IsBackground = true }.Start();
        return told;
    }
}
