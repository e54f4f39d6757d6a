namespace Otto.Queue;

// The execution context in which a TaskQueue's handlers run: clean, but for a mark that flows into whatever a handler starts.
// The mark is how an enqueue knows that it must not wait: the handler could be waiting for itself.

internal sealed class HandlerScope
{
    private static readonly AsyncLocal<HandlerScope?> Current = new();

    private ExecutionContext? _context;

    /// <summary>Whether the caller runs in a handler of this queue, or was started by one.</summary>
    internal bool IsInside => Current.Value == this;

    /// <summary>Makes the calling pool thread run in the handlers' context.</summary>
    internal void Enter()
    {
        if (_context is { } context)
        {
            ExecutionContext.Restore(context);
            return;
        }

        // The first worker's thread comes clean from the pool; its context, marked, serves all others.
        Current.Value = this;
        _context = ExecutionContext.Capture();
    }

    /// <summary>Undoes what a handler may have set in its context, which would leak into the next task.</summary>
    internal void Restore()
    {
        if (!ReferenceEquals(ExecutionContext.Capture(), _context)) ExecutionContext.Restore(_context!);
    }
}
