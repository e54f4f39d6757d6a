using System.Text.Json;
using System.Text.Json.Serialization;

namespace Otto.Ipc.Benchmarks.Matrix.Results;

// One run, as it is kept: a line that says where and how, a line a cell, a line a measurement.

/// <summary>Where and how a run was made.</summary>
internal sealed record RunHead
{
    public required string Date { get; init; }

    /// <summary>The processor, the cores and the memory.</summary>
    public required string Machine { get; init; }

    public required string Kernel { get; init; }

    public required string Sdk { get; init; }

    public required string Runtime { get; init; }

    public required string Commit { get; init; }

    public required string Command { get; init; }

    /// <summary>How long each measurement lasted.</summary>
    public required double WindowMilliseconds { get; init; }

    public required int Repeats { get; init; }

    /// <summary>Draws the same order again.</summary>
    public required int Seed { get; init; }

    /// <summary>What others took of the processors in the second before the run began: 1 is a whole core.</summary>
    public required double OthersBefore { get; init; }

    /// <summary>Load averages over a minute, before and after.</summary>
    public required IReadOnlyList<double> Load { get; init; }

    /// <summary>The columns, in their order.</summary>
    public required IReadOnlyList<Column> Columns { get; init; }

    /// <summary>Who could not be tried, and why.</summary>
    public required IReadOnlyList<string> LeftOut { get; init; }

    /// <summary>Measurements that did not come to their end.</summary>
    public IReadOnlyList<Failure> Failures { get; init; } = [];
}

/// <summary>A measurement that did not come to its end, and was taken again.</summary>
/// <param name="IsOurs">Whether that fails the run: a peer's failure is told, and no more.</param>
internal sealed record Failure(string Title, string What, bool IsOurs);

internal sealed record Column(string Name, string Title);

/// <summary>A run.</summary>
internal sealed record MatrixRun(RunHead Head, IReadOnlyList<Cell> Cells, IReadOnlyList<SpeedResult> Speeds)
{
    public IEnumerable<Cell> Contradictions => Cells.Where(c => c.Contradiction is not null);

    public Cell? At(Row row, string subject) => Cells.FirstOrDefault(c => c.Row == row && c.Subject == subject);

    /// <summary>The middle of all spreads.</summary>
    public double TypicalSpread => Math.Round(Measuring.Result.Median(Speeds.Select(s => s.Spread).DefaultIfEmpty(1)), 2);

    /// <summary>Why the numbers are to be taken with care; <see langword="null"/> where the
    /// machine was quiet.</summary>
    public string? Noise => Measuring.NoiseDetector.Of(Head.OthersBefore, TypicalSpread);

    public IEnumerable<string> ToLines() =>
    [
        JsonSerializer.Serialize(new MatrixLine { Run = Head }, MatrixJson.Default.MatrixLine),
        .. Cells.Select(static c => JsonSerializer.Serialize(new MatrixLine { Cell = c }, MatrixJson.Default.MatrixLine)),
        .. Speeds.Select(static s => JsonSerializer.Serialize(new MatrixLine { Speed = s }, MatrixJson.Default.MatrixLine)),
    ];

    /// <summary>Reads back what <see cref="ToLines"/> wrote.</summary>
    /// <exception cref="InvalidDataException">A line is none of a run.</exception>
    public static MatrixRun Parse(IEnumerable<string> lines)
    {
        RunHead? head = null;
        List<Cell> cells = [];
        List<SpeedResult> speeds = [];
        int number = 0;
        foreach (string line in lines)
        {
            number++;
            MatrixLine? parsed = JsonSerializer.Deserialize(line, MatrixJson.Default.MatrixLine);
            if (parsed?.Run is { } run) head = run;
            else if (parsed?.Cell is { } cell) cells.Add(cell);
            else if (parsed?.Speed is { } speed) speeds.Add(speed);
            else throw new InvalidDataException($"line {number:N0} is no part of a run");
        }

        return new MatrixRun(head ?? throw new InvalidDataException("no line says where the run was made"), cells, speeds);
    }
}

/// <summary>A line of a file: one of the three.</summary>
internal sealed record MatrixLine
{
    public RunHead? Run { get; init; }

    public Cell? Cell { get; init; }

    public SpeedResult? Speed { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(MatrixLine))]
internal sealed partial class MatrixJson : JsonSerializerContext;
