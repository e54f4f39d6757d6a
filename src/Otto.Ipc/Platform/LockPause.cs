namespace Otto.Ipc.Platform;

// Between two tries for a lock that cannot be waited for with a time limit: first the core is offered, then tries come at most a thousand
// times a second.

internal static class LockPause
{
    private const int YieldsBeforeSleep = 20;

    /// <summary>Pauses after a try that found the lock taken.</summary>
    /// <param name="attempt">How many tries there were before that one.</param>
    public static void After(int attempt)
    {
        if (attempt < YieldsBeforeSleep) Thread.Yield();
        else Thread.Sleep(1);
    }

    /// <summary>Pauses without holding a thread.</summary>
    /// <param name="attempt">How many tries there were before that one.</param>
    /// <param name="cancellationToken">Ends the pause.</param>
    public static async ValueTask AfterAsync(int attempt, CancellationToken cancellationToken)
    {
        if (attempt < YieldsBeforeSleep) await Task.Yield();
        else await Task.Delay(1, cancellationToken).ConfigureAwait(false);
    }
}
