using System.Text.Json.Serialization;

namespace Otto.Tools.Demo;

// What the agents say to each other. Every task carries the moment it was sent: Stopwatch ticks, one clock for all processes of a machine.

/// <summary>To the indexer: walk the folder, and have each file looked at.</summary>
internal sealed record IndexFolder(string Directory, int Limit);

/// <summary>To vision: what is in this file?</summary>
internal sealed record AnalyseFile(int Id, string Path, long SentAt);

/// <summary>To voice: what does this file sound like?</summary>
internal sealed record ListenToFile(int Id, string Path, long SentAt);

/// <summary>To vision, one at a time and without work: how long is the way?</summary>
internal sealed record Probe(int Id, long SentAt);

/// <summary>To the orchestrator: a task was done.</summary>
/// <param name="Agent">Who did it.</param>
/// <param name="Id">Which file, or which probe.</param>
/// <param name="OverheadTicks">From enqueue to the start of the handler.</param>
/// <param name="Finding">What was found, or why not.</param>
/// <param name="Failed">Whether the file could not be read.</param>
internal sealed record Result(string Agent, int Id, long OverheadTicks, string Finding, bool Failed = false);

/// <summary>To the orchestrator: this many files were found, numbered from zero.</summary>
internal sealed record FilesFound(int Count);

[JsonSerializable(typeof(IndexFolder))]
[JsonSerializable(typeof(AnalyseFile))]
[JsonSerializable(typeof(ListenToFile))]
[JsonSerializable(typeof(Probe))]
[JsonSerializable(typeof(Result))]
[JsonSerializable(typeof(FilesFound))]
internal sealed partial class DemoJson : JsonSerializerContext;
