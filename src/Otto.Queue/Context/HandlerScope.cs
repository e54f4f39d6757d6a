namespace Otto.Queue;

// The execution context in which a TaskQueue's handlers run: clean, but for a mark that flows into whatever a handler starts.
// The mark is how an enqueue knows that it must not wait, and a wait whether it holds up what it waits for.

internal sealed class HandlerScope
{
    /// <summary>Whether the caller runs in a handler of this queue, or was started by one.</summary>
    internal bool IsInside => HandlerPlace.Current is { } place && place.Scope == this;

    /// <summary>The place in which the calling handler runs; <see langword="null"/> outside of handlers.</summary>
    internal HandlerPlace? Place => HandlerPlace.Current is { } place && place.Scope == this ? place : null;
}

/// <summary>The place of one worker: in it one handler at a time runs.</summary>
internal sealed class HandlerPlace(HandlerScope scope)
{
    private static readonly AsyncLocal<HandlerPlace?> CurrentPlace = new();

    private readonly List<string> _waits = [];
    private ExecutionContext? _context;

    internal static HandlerPlace? Current => CurrentPlace.Value;

    internal HandlerScope Scope => scope;

    /// <summary>The queues of the tasks that the handler waits for.</summary>
    internal string[] Waits
    {
        get
        {
            lock (_waits) return [.. _waits];
        }
    }

    internal void BeginWait(string queue)
    {
        lock (_waits) _waits.Add(queue);
    }

    internal void EndWait(string queue)
    {
        lock (_waits) _waits.Remove(queue);
    }

    /// <summary>Makes the calling pool thread run in the context of the place's handlers.</summary>
    internal void Enter()
    {
        if (_context is { } context)
        {
            ExecutionContext.Restore(context);
            return;
        }

        // The first thread comes clean from the pool; its context, marked, serves all handlers that run here.
        CurrentPlace.Value = this;
        _context = ExecutionContext.Capture();
    }

    /// <summary>Undoes what a handler may have set in its context, which would leak into the next task.</summary>
    internal void Restore()
    {
        if (!ReferenceEquals(ExecutionContext.Capture(), _context)) ExecutionContext.Restore(_context!);
    }
}
