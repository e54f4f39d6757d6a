using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// Dead letters as the routes of this process's queues list them.

internal sealed class QueueDeadLetters(IReadOnlyList<QueueRuntime> queues) : TaskDeadLetters
{
    public override async ValueTask<IReadOnlyList<DeadLetteredTask>> ListAsync(string? queue = null, int max = 100,
        CancellationToken cancellationToken = default)
    {
        List<DeadLetteredTask> found = [];
        foreach (QueueRuntime runtime in queue is null ? queues : [QueueRuntime.Find(queues, queue)])
        {
            if (!runtime.IsOpen) await runtime.OpenAsync(cancellationToken).ConfigureAwait(false);
            foreach (RouteConnection route in runtime.Routes)
            {
                if (route.DeadLetters is not { } letters) continue;
                foreach (DeadLetter letter in await letters.GetDeadLettersAsync(max, cancellationToken).ConfigureAwait(false))
                    found.Add(Read(runtime.Name, route.Name, letter));
            }
        }

        return found;
    }

    public override async ValueTask<bool> RequeueAsync(DeadLetteredTask task, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        IDeadLetterChannel letters = await FindAsync(task, cancellationToken).ConfigureAwait(false);
        return await letters.RequeueAsync(task.Letter, cancellationToken).ConfigureAwait(false);
    }

    public override async ValueTask<bool> DeleteAsync(DeadLetteredTask task, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        IDeadLetterChannel letters = await FindAsync(task, cancellationToken).ConfigureAwait(false);
        return await letters.DeleteAsync(task.Letter, cancellationToken).ConfigureAwait(false);
    }

    private static DeadLetteredTask Read(string queue, RouteName route, DeadLetter letter)
    {
        bool readable = EnvelopeReader.Read(letter.Payload.Span, out EnvelopeHeader header, out ReadOnlySpan<byte> name,
            out int payloadAt) is null;
        return new DeadLetteredTask(
            queue, route, readable ? Encoding.UTF8.GetString(name) : "", header.Id, readable ? letter.Payload[payloadAt..] : letter.Payload,
            header.AttemptsBefore + letter.Attempts, letter.Reason, letter.Id);
    }

    private async ValueTask<IDeadLetterChannel> FindAsync(DeadLetteredTask task, CancellationToken cancellationToken)
    {
        QueueRuntime runtime = QueueRuntime.Find(queues, task.Queue);
        if (!runtime.IsOpen) await runtime.OpenAsync(cancellationToken).ConfigureAwait(false);
        foreach (RouteConnection route in runtime.Routes)
            if (route.Name == task.Route && route.DeadLetters is { } letters) return letters;
        throw new ArgumentException($"queue '{task.Queue}' has no route {task.Route} here; it has "
            + string.Join(", ", runtime.Routes.Select(static route => route.Name)), nameof(task));
    }
}
