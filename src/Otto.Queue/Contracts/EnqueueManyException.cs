using System.Globalization;

namespace Otto.Queue;

// Of many tasks some may be refused. Who enqueued them must know which: to try those again, and not the others.

/// <summary>What became of one task of <see cref="ITaskQueue.EnqueueManyAsync"/>: it has a receipt, or an
/// error.</summary>
/// <param name="Receipt">The receipt; default if the task was not enqueued.</param>
/// <param name="Error">Why it was not enqueued; <see langword="null"/> if it was.</param>
public readonly record struct EnqueueResult(TaskReceipt Receipt, Exception? Error)
{
    /// <summary>Whether the task was enqueued.</summary>
    public bool IsEnqueued => Error is null;
}

/// <summary>Some tasks of <see cref="ITaskQueue.EnqueueManyAsync"/> were not enqueued. <see cref="Results"/> has
/// each; the others are enqueued.</summary>
public sealed class EnqueueManyException : AggregateException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="results">What became of each task, in order.</param>
    /// <param name="errors">The errors, and what the sequence of tasks itself threw.</param>
    public EnqueueManyException(IReadOnlyList<EnqueueResult> results, IEnumerable<Exception> errors)
        : base(Describe(results), errors) => Results = results;

    /// <summary>What became of each task, in order. Shorter than the sequence of tasks only if that threw, which is the
    /// last of the inner exceptions then.</summary>
    public IReadOnlyList<EnqueueResult> Results { get; }

    private static string Describe(IReadOnlyList<EnqueueResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        int enqueued = results.Count(static r => r.IsEnqueued);
        return string.Create(CultureInfo.InvariantCulture,
            $"{enqueued:N0} tasks of this call were enqueued and {results.Count - enqueued:N0} were not; "
            + $"Results has a receipt or an error for each");
    }
}
