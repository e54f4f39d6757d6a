using System.Globalization;
using System.Text.Json.Serialization;
using Otto.Queue;

namespace Otto.Tools.Queue;

// What the commands print, as words and as JSON.

/// <summary>A route's counts.</summary>
internal sealed record RouteLine(string Queue, string Route, string? Error, int Workers, int? Ready, int? Leased, int? Delayed, int? Dead,
    int? Free, double? OldestReadySeconds, int? PassedOver, int? Results, Dictionary<string, int>? Unhandled,
    WarningLine[]? Warnings = null)
{
    public static RouteLine Of(string queue, RouteStatus status) => new(
        queue, status.Route.ToString(), status.Error, status.Workers, status.Counts?.Ready, status.Counts?.Leased, status.Counts?.Delayed,
        status.Counts?.Dead, status.Counts?.Free,
        status.Counts is { } counts ? Math.Round(counts.OldestReadyAge.TotalSeconds, 3) : null,
        status.Counts?.PassedOver, status.Counts?.Results,
        status.Unhandled.Count == 0 ? null : status.Unhandled.ToDictionary(static u => u.Name, static u => u.Count),
        status.Warnings.Count == 0 ? null : [.. status.Warnings.Select(static w => new WarningLine(w.Code, w.Text))]);

    public static string Words(RouteStatus status)
    {
        string workers = status.Workers == 1 ? "1 worker" : string.Create(CultureInfo.InvariantCulture, $"{status.Workers:N0} workers");
        if (status.Error is { } error) return error;
        if (status.Counts is not { } c) return workers;
        string oldest = c.OldestReadyAge > TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $", oldest {c.OldestReadyAge.TotalSeconds:0.000} s") : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"{c.Ready:N0} ready, {c.Leased:N0} leased, {c.Delayed:N0} delayed, {c.Dead:N0} dead{Kept(c)}{oldest}; "
            + $"{workers}{WithoutHandler(status)}");
    }

    private static string Kept(Otto.Ipc.WorkQueueCounts c) =>
        (c.PassedOver > 0 ? string.Create(CultureInfo.InvariantCulture, $", {c.PassedOver:N0} passed over") : "")
        + (c.Results > 0 ? string.Create(CultureInfo.InvariantCulture, $", {c.Results:N0} results") : "");

    private static string WithoutHandler(RouteStatus status) => status.Unhandled.Count == 0 ? ""
        : "; no worker handles " + string.Join(", ", status.Unhandled.Select(static u =>
            string.Create(CultureInfo.InvariantCulture, $"{u.Count:N0} x '{u.Name}'")));
}

/// <summary>What was found on a route that may cost tasks.</summary>
internal sealed record WarningLine(string Code, string Text);

/// <summary>Where a task would go.</summary>
internal sealed record ExplanationLine(string Queue, string Route, string Reason, RouteLine[] Routes)
{
    public static ExplanationLine Of(RouteExplanation f) =>
        new(f.Queue, f.Route.ToString(), f.Reason,
            [.. f.Routes.Where(static s => s.Route != RouteName.InProcess).Select(s => RouteLine.Of(f.Queue, s))]);
}

/// <summary>A task that was sent.</summary>
internal sealed record SentLine(string Id, string Route, string Reason, string Outcome);

/// <summary>A task that was given up.</summary>
internal sealed record DeadLine(string Id, string Queue, string Route, string Name, int Attempts, string Reason, int PayloadBytes);

/// <summary>What became of given-up tasks that were asked for.</summary>
internal sealed record MovedLine(string Queue, string Did, int Tasks, string[] Unknown);

/// <summary>What became of a task that was to be cancelled.</summary>
internal sealed record CancelledLine(string Id, string Queue, string Outcome);

/// <summary>An attempt that a worker made. <paramref name="Error"/> is absent where the task is done.</summary>
internal sealed record AttemptLine(string Id, string Queue, string Name, string Route, int Attempt, double Seconds, bool Done,
    string? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RouteLine))]
[JsonSerializable(typeof(Dictionary<string, int>))]
[JsonSerializable(typeof(ExplanationLine))]
[JsonSerializable(typeof(SentLine))]
[JsonSerializable(typeof(DeadLine))]
[JsonSerializable(typeof(MovedLine))]
[JsonSerializable(typeof(CancelledLine))]
[JsonSerializable(typeof(AttemptLine))]
internal sealed partial class QueueJson : JsonSerializerContext;
