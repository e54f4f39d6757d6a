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
    private const int MostReasons = 3;

    /// <summary>Creates the exception.</summary>
    /// <param name="results">What became of each task, in order.</param>
    /// <param name="errors">The errors, and what the sequence of tasks itself threw.</param>
    public EnqueueManyException(IReadOnlyList<EnqueueResult> results, IEnumerable<Exception> errors)
        : base(errors)
    {
        ArgumentNullException.ThrowIfNull(results);
        Results = results;
    }

    /// <summary>What became of each task, in order. Shorter than the sequence of tasks only if that threw, which is the
    /// last of the inner exceptions then.</summary>
    public IReadOnlyList<EnqueueResult> Results { get; }

    /// <summary>How many tasks were enqueued and how many were not, and the most frequent reasons: three of them,
    /// however many tasks there are.</summary>
    public override string Message
    {
        get
        {
            int enqueued = Results.Count(static r => r.IsEnqueued), refused = Results.Count - enqueued;
            var reasons = InnerExceptions.GroupBy(static e => e.Message, StringComparer.Ordinal)
                .OrderByDescending(static g => g.Count()).ToList();
            string told = string.Join("; ", reasons.Take(MostReasons).Select(static g => $"{g.Count():N0} x {g.Key}"));
            string others = reasons.Count > MostReasons ? $"; and {reasons.Count - MostReasons:N0} other reasons" : "";
            return string.Create(CultureInfo.InvariantCulture,
                $"{enqueued:N0} tasks of this call were enqueued and {refused:N0} were not; Results has a receipt or an error for each: ")
                + told + others;
        }
    }

    /// <summary>The message, and the first error with its stack trace.</summary>
    /// <returns>The text; bounded, however many tasks there are.</returns>
    public override string ToString() => $"{GetType()}: {Message}\n{StackTrace}\n ---> {InnerException}";
}
