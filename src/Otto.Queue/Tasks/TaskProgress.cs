namespace Otto.Queue;

// How far a task says it is.

/// <summary>What a handler reported.</summary>
/// <param name="Id">The task.</param>
/// <param name="Done">How much is done, in units of the handler's choice.</param>
/// <param name="Total">Of how much; 0 where that is not known.</param>
/// <param name="Text">What is being done, in the handler's words; cut at 200 characters.</param>
public readonly record struct TaskProgress(TaskId Id, double Done, double Total, string Text)
{
    /// <summary>Reads a notice that a worker told to everybody on its queue, if it is one of progress: for those who listen to a queue's topic themselves.</summary>
    /// <param name="notice">The notice, as in <c>docs/envelope.md</c>.</param>
    /// <param name="progress">What it says.</param>
    /// <returns><see langword="false"/> where it says something else.</returns>
    public static bool TryRead(ReadOnlySpan<byte> notice, out TaskProgress progress)
    {
        progress = default;
        if (!TaskEvent.TryRead(notice, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body) || kind != TaskEventKind.Progress) return false;
        progress = TaskEvent.ReadProgress(id, body);
        return true;
    }
}
