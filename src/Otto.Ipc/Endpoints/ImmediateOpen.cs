namespace Otto.Ipc.Endpoints;

// The asynchronous openers of transports that wait for nothing when they open.

internal static class ImmediateOpen
{
    /// <summary>Opens at once; a token that was cancelled before opens nothing.</summary>
    public static ValueTask<T> Run<T>(Func<T> open, CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled<T>(cancellationToken) : new(open());
}
