using MemoryPack;
using MessagePack;

namespace Otto.Queue.Serializers.Tests;

// Tasks of the usual kinds, in the words of both libraries.

public enum Size
{
    Small,
    Large,
}

[MessagePackObject]
[MemoryPackable]
public sealed partial record ResizePhoto([property: Key(0)] string Path, [property: Key(1)] int Width, [property: Key(2)] Size Size);

[MessagePackObject]
[MemoryPackable]
public sealed partial class Order
{
    [Key(0)]
    public Guid Id { get; set; }

    [Key(1)]
    public List<ResizePhoto> Photos { get; set; } = [];

    [Key(2)]
    public Dictionary<string, decimal> Prices { get; set; } = [];

    [Key(3)]
    public DateTime At { get; set; }

    [Key(4)]
    public TimeSpan? Within { get; set; }

    [Key(5)]
    public byte[] Signature { get; set; } = [];

    [Key(6)]
    public string? Note { get; set; }
}

[MessagePackObject]
[MemoryPackable]
public partial struct Point
{
    [Key(0)]
    public double X { get; set; }

    [Key(1)]
    public double Y { get; set; }
}

// In the words of neither.
public sealed class Unknown
{
    public int Number { get; set; }
}
