using System.Text.Json.Serialization;

namespace Otto.Tools.Top;

// What otto top shows, and what it prints as a line of JSON.

/// <summary>A queue on one route. Rates are those since the last look, a second.</summary>
internal sealed record QueueRow(
    string Queue, string Route, string? Error, int Workers, int Ready, int Leased, int Delayed, int Dead, double OldestSeconds,
    double? EnteredPerSecond, double? LeftPerSecond);

/// <summary>How far a task says it is. <paramref name="Queue"/> is absent for one that told
/// the server of sockets.</summary>
internal sealed record ProgressRow(string Task, string? Queue, string Route, double Done, double? Total, string? Text);

/// <summary>One look.</summary>
internal sealed record TopSnapshot(DateTimeOffset Time, QueueRow[] Queues, ProgressRow[] Progress);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(TopSnapshot))]
internal sealed partial class TopJson : JsonSerializerContext;
