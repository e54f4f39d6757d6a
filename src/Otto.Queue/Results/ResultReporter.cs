using System.Text;

namespace Otto.Queue;

// The worker's side of results: to the producer's desk where that is here, else as a notice on the route that the task came by, where its producer listens.

internal sealed class ResultReporter(Lane lane)
{
    internal void Done(TaskBinding binding, TaskId id, object? value, RouteConnection? cameBy)
    {
        if (id.High == lane.Owner.Producer)
        {
            lane.Owner.Results.Complete(id, new TaskResult(ResultStatus.Done, value, null, 0, null));
            lane.Progress.End(id);
            return;
        }

        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        try
        {
            if (value is not null) binding.WriteResult(value, buffer);
            lane.Notices.Tell(TaskEvent.Result(id, ResultStatus.Done, binding.Serializer.Format, buffer.Written), id, cameBy?.Route.Route);
        }
        catch (Exception e)
        {
            Failed(id, ResultStatus.Failed, $"it was done, but its result cannot be serialised: {e.Message}", cameBy);
        }
        finally
        {
            buffer.Return();
        }
    }

    internal void Failed(TaskId id, ResultStatus status, string error, RouteConnection? cameBy)
    {
        if (id.High == lane.Owner.Producer)
        {
            lane.Owner.Results.Complete(id, new TaskResult(status, null, null, 0, error));
            lane.Progress.End(id);
        }
        else
        {
            lane.Notices.Tell(TaskEvent.Result(id, status, 0, Encoding.UTF8.GetBytes(error.Length <= 1000 ? error : error[..1000])), id, cameBy?.Route.Route);
        }
    }
}
