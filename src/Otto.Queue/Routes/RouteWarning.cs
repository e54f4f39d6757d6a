namespace Otto.Queue;

// What was found on a route that works, and may cost tasks one day.

/// <summary>A problem of a route that does not stop it, such as a server that keeps nothing on disk. Written to the log
/// once, shown by the health check and by <see cref="RouteStatus.Warnings"/>.</summary>
/// <param name="code">The kind of problem in one word, for alerts and options.</param>
/// <param name="text">What is wrong, what it may cost, and what to change.</param>
/// <remarks>One object stands for one finding: queues that share a connection share it, so that the log has it
/// once.</remarks>
public sealed class RouteWarning(string code, string text)
{
    private bool _logged;

    /// <summary>Gets the kind of problem in one word, for alerts and options.</summary>
    public string Code { get; } = code;

    /// <summary>Gets what is wrong, what it may cost, and what to change.</summary>
    public string Text { get; } = text;

    /// <summary>Gets whether the health check is degraded by it. It is not if nothing is known to be wrong.</summary>
    public bool IsDegrading { get; init; } = true;

    /// <summary>Whether it is for the caller to log.</summary>
    internal bool TryLog() => !Interlocked.Exchange(ref _logged, true);

    /// <summary>Gets the text.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => Text;
}
