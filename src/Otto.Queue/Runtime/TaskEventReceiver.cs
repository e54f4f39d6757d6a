namespace Otto.Queue;

// What other processes published about tasks: cancels for workers here, results and progress for producers here.

internal sealed class TaskEventReceiver(LocalCanceller canceller, PendingResults results, ProgressHub progress)
{
    internal void Receive(ReadOnlyMemory<byte> message)
    {
        if (!TaskEvent.TryRead(message.Span, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body)) return;
        switch (kind)
        {
            case TaskEventKind.Cancel:
                canceller.OnRequested(id);
                break;
            case TaskEventKind.Result:
                results.Receive(id, body);
                progress.End(id);
                break;
            case TaskEventKind.Progress:
                progress.ReceiveEvent(TaskEvent.ReadProgress(id, body));
                break;
        }
    }
}
