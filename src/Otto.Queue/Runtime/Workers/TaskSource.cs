using Otto.Ipc;

namespace Otto.Queue;

// Where workers get tasks: retries first, then each route in turn by weight.

internal sealed class TaskSource(LocalQueue local, DelayedTaskQueue delayed, RouteConnections routes, TaskReader reader, int localWeight)
{
    private volatile bool _takesLocal;
    private volatile bool _takesDelayed;

    /// <summary>Whether a route here gets its answers over the network.</summary>
    internal bool UsesNetwork => routes.UsesNetwork;

    /// <summary>Whether a worker that looked now would find something.</summary>
    internal bool HasWork
    {
        get
        {
            if (_takesLocal && local.Ring.HasReady) return true;
            if (_takesDelayed && delayed.HasReady) return true;
            foreach (RouteConnection route in routes.All)
                if (route.MayHaveWork) return true;
            return false;
        }
    }

    internal void Start() => _takesLocal = _takesDelayed = true;

    internal void Stop()
    {
        _takesLocal = false;
        _takesDelayed = false;
    }

    /// <summary>Lets workers take tasks that waited here, and nothing else: what no route could take at a stop is run
    /// here.</summary>
    internal void TakeDelayed(bool take) => _takesDelayed = take;

    /// <summary>Finds the next task for a worker, and loads it.</summary>
    /// <param name="run">Where the task is loaded.</param>
    /// <param name="turn">Whose turn it is for this worker.</param>
    /// <param name="poll">Whether to check every route, even those that said they are empty.</param>
    internal bool TryTake(TaskRun run, ref SourceTurn turn, bool poll)
    {
        if (_takesDelayed && delayed.TryTake(out DelayedTask? waiting))
        {
            run.Load(waiting!);
            return true;
        }

        RouteConnection[] all = routes.All;
        for (int sources = all.Length + 1; sources >= 0; sources--)
        {
            if (turn.Source == 0)
            {
                if (turn.Credit > 0 && _takesLocal && local.TryDequeue(out QueuedTask task))
                {
                    turn.Credit--;
                    run.Load(task);
                    return true;
                }
            }
            else
            {
                RouteConnection route = all[turn.Source - 1];
                while (turn.Credit > 0 && route.TryLease(poll, out WorkLease lease))
                {
                    turn.Credit--;
                    if (!reader.TryRead(route, lease, out ReceivedTask received)) continue;
                    run.Load(received);
                    return true;
                }
            }

            turn.Source = turn.Source >= all.Length ? 0 : turn.Source + 1;
            turn.Credit = turn.Source == 0 ? localWeight : all[turn.Source - 1].Route.Weight;
        }

        return false;
    }
}

/// <summary>Which source a worker takes from, and how many tasks more: 0 is the ring, then the routes in
/// order.</summary>
internal struct SourceTurn
{
    internal int Source;

    internal int Credit;
}
