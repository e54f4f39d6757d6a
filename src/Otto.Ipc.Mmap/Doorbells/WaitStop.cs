using Otto.Ipc.Endpoints;

namespace Otto.Ipc.Mmap.Doorbells;

/// <summary>What ends a wait before its time.</summary>
internal readonly struct WaitStop(IClosableEnd end, CancellationToken cancellationToken)
{
    public CancellationToken Cancellation => cancellationToken;

    public void ThrowIfStopped()
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(end.IsClosed, end);
    }
}
