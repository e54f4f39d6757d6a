using System.Buffers;
using System.Runtime.CompilerServices;

namespace Otto.Queue;

// Tasks that are bytes already travel as they are; it is chosen by the type alone, so that nobody has to ask for it.

internal sealed class BytesTaskSerializer : ITaskSerializer
{
    internal static readonly BytesTaskSerializer Instance = new();

    internal static bool Fits(Type task) => task == typeof(byte[]) || task == typeof(ReadOnlyMemory<byte>);

    public byte Format => 0;

    public string? Refuses(Type task) =>
        Fits(task) ? null : $"{task} is neither byte[] nor ReadOnlyMemory<byte>; choose another serializer for it";

    public void Serialize<TTask>(TTask task, IBufferWriter<byte> output)
    {
        if (typeof(TTask) == typeof(ReadOnlyMemory<byte>)) output.Write(Unsafe.As<TTask, ReadOnlyMemory<byte>>(ref task).Span);
        else if (task is byte[] bytes) output.Write(bytes);
        else throw new NotSupportedException(
            $"{typeof(TTask)} is neither byte[] nor ReadOnlyMemory<byte>; choose another serializer for it");
    }

    public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload)
    {
        // Memory is passed in place, valid until the handler has ended; an array can only be a copy.
        if (typeof(TTask) == typeof(ReadOnlyMemory<byte>)) return Unsafe.As<ReadOnlyMemory<byte>, TTask>(ref payload);
        if (typeof(TTask) == typeof(byte[])) return (TTask)(object)payload.ToArray();
        throw new NotSupportedException($"{typeof(TTask)} is neither byte[] nor ReadOnlyMemory<byte>; choose another serializer for it");
    }
}
