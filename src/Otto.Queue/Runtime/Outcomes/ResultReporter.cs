using System.Text;

namespace Otto.Queue;

// The worker's side of results: to the pending results if the producer is here, else as an event on the route that the task came by, where
// its producer listens.

internal sealed class ResultReporter(QueueContext context, PendingResults results, TaskEventBus events, ProgressHub progress)
{
    private const int MostErrorText = 1000;

    internal void Done(TaskRegistration registration, TaskId id, object? value, RouteName? route)
    {
        if (id.High == context.Ids.Producer)
        {
            results.Complete(id, new TaskResult(ResultStatus.Done, value, null, 0, null));
            progress.End(id);
            return;
        }

        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        try
        {
            if (value is not null) registration.WriteResult(value, buffer);
            events.Publish(TaskEvent.Result(id, ResultStatus.Done, registration.Serializer.Format, buffer.Written), id, route);
        }
        catch (Exception e)
        {
            Failed(id, ResultStatus.Failed, $"the task completed, but its result cannot be serialised: {e.Message}", route);
        }
        finally
        {
            buffer.Return();
        }
    }

    internal void Failed(TaskId id, ResultStatus status, string error, RouteName? route)
    {
        if (id.High == context.Ids.Producer)
        {
            results.Complete(id, new TaskResult(status, null, null, 0, error));
            progress.End(id);
        }
        else
        {
            events.Publish(TaskEvent.Result(id, status, 0,
                Encoding.UTF8.GetBytes(error.Length <= MostErrorText ? error : error[..MostErrorText])), id, route);
        }
    }
}
