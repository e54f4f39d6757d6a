using System.Text.Json.Serialization;

namespace Otto.Queue.Tests.Support;

// The tasks that tests speak of.

public sealed record ResizePhoto(string File, int Width = 100);

public sealed record Job(int Number);

/// <summary>Does not survive JSON: its number is not a property.</summary>
public sealed class LossyJsonTask
{
    private readonly int _number;

    public LossyJsonTask()
    {
    }

    public LossyJsonTask(int number) => _number = number;

    public int Number() => _number;
}

/// <summary>Changes each time it is written.</summary>
public sealed class UnstableJsonTask
{
    public int Count
    {
        get;
        set => field = value + 1;
    }
}

[JsonSerializable(typeof(ResizePhoto))]
[JsonSerializable(typeof(Job))]
internal sealed partial class TestJson : JsonSerializerContext;
