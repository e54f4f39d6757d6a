namespace Otto.Queue;

// What a graceful stop did with everything that was under way: the numbers that show nothing was lost.

/// <summary>What became of the tasks that were here when a stop began.</summary>
/// <param name="Completed">Tasks that ended well between the stop's beginning and its end.</param>
/// <param name="Transferred">Tasks given to other routes, by route; a worker there runs them.</param>
/// <param name="Lost">Tasks that no route could take. Each is in the log.</param>
/// <param name="StillRunning">Handlers that had not returned when time was up, although their token had fired. What
/// they hold of a durable task passes on when this process ends.</param>
/// <param name="Elapsed">How long the stop took.</param>
public sealed record DrainReport(long Completed, IReadOnlyDictionary<RouteName, int> Transferred, int Lost, int StillRunning,
    TimeSpan Elapsed)
{
    /// <summary>Tasks given to other routes, all together.</summary>
    public int TransferredTotal => Transferred.Values.Sum();

    internal static DrainReport Sum(IReadOnlyCollection<DrainReport> reports, TimeSpan elapsed) => new(
        reports.Sum(static r => r.Completed),
        reports.SelectMany(static r => r.Transferred).GroupBy(static h => h.Key).ToDictionary(static g => g.Key,
            static g => g.Sum(static h => h.Value)),
        reports.Sum(static r => r.Lost),
        reports.Sum(static r => r.StillRunning),
        elapsed);
}
