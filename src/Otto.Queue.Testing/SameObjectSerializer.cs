using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;

namespace Otto.Queue.Testing;

// The round trip switched off: a payload is a number by which the very object is found again, as in a process that hands it over.

internal sealed class SameObjectSerializer : ITaskSerializer
{
    private readonly ConcurrentDictionary<long, object?> _objects = new();
    private long _last;

    public byte Format => 255;

    public string? Refuses(Type task) => null;

    public void Serialize<TTask>(TTask task, IBufferWriter<byte> output)
    {
        long number = Interlocked.Increment(ref _last);
        _objects[number] = task;
        BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(sizeof(long)), number);
        output.Advance(sizeof(long));
    }

    public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload) => (TTask)_objects[BinaryPrimitives.ReadInt64LittleEndian(payload.Span)]!;
}
