using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Queue;

namespace Otto.Tools.Top;

// The newest report of each task that tells how far it is. Bounded, and what is done or silent goes.

internal sealed class ProgressBoard
{
    private const int MostTasks = 1000;
    private static readonly TimeSpan SilentFor = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<TaskId, (long At, ProgressRow Sight)> _tasks = new();
    private readonly HashSet<string> _complaints = [];

    public void Note(in TaskProgress progress, string queue, string route)
    {
        if (_tasks.Count >= MostTasks && !_tasks.ContainsKey(progress.Id)) return;
        _tasks[progress.Id] = (Stopwatch.GetTimestamp(), new ProgressRow(
            progress.Id.ToString(), queue, route, progress.Done, progress.Total > 0 ? progress.Total : null,
            progress.Text.Length > 0 ? progress.Text : null));
    }

    /// <summary>What is known now; a task that said it is done is shown once more and then forgotten.</summary>
    public IEnumerable<ProgressRow> Take()
    {
        foreach ((TaskId id, (long at, ProgressRow row)) in _tasks)
        {
            if (row.Done >= row.Total || Stopwatch.GetElapsedTime(at) > SilentFor)
                _tasks.TryRemove(KeyValuePair.Create(id, (at, row)));
            yield return row;
        }
    }

    /// <summary>Says what cannot be heard, once.</summary>
    public void Complain(string what)
    {
        if (_complaints.Count < 100 && _complaints.Add(what)) Console.Error.WriteLine($"otto: {what}");
    }
}
