using System.Text.Json.Serialization;

namespace Otto.Tools.Top;

// What otto top shows, and what it prints as a line of JSON.

/// <summary>A queue on one route. Rates are those since the last look, a second.</summary>
internal sealed record QueueSight(
    string Queue, string Route, string? Trouble, int Workers, int Ready, int Leased, int Delayed, int Dead, double OldestSeconds, double? EnteredPerSecond, double? LeftPerSecond);

/// <summary>How far a task says it is. <paramref name="Queue"/> is absent for one that told the server of sockets.</summary>
internal sealed record ProgressSight(string Task, string? Queue, string Route, double Done, double? Total, string? Text);

/// <summary>One look.</summary>
internal sealed record TopSight(DateTimeOffset Time, QueueSight[] Queues, ProgressSight[] Progress);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(TopSight))]
internal sealed partial class TopJson : JsonSerializerContext;
