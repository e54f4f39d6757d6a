using MemoryPack;
using MessagePack;
using MessagePack.Formatters;
using MessagePack.Resolvers;
using Otto.Queue.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Serializers.Tests;

// The suite in shared memory with each serializer. Its tasks know neither library: their formatters are written here,
// as a program does for types of others.

public sealed class MessagePackTaskTests : TaskConformance
{
    private static readonly IFormatterResolver Resolver = CompositeResolver.Create([new JobFormatter()], [StandardResolver.Instance]);

    protected override Task<IRouteHarness> CreateHarnessAsync()
        => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: false, static o => o.UseMessagePack(Resolver)));

    private sealed class JobFormatter : IMessagePackFormatter<Job?>
    {
        public void Serialize(ref MessagePackWriter writer, Job? value, MessagePackSerializerOptions options)
        {
            if (value is null) writer.WriteNil();
            else writer.Write(value.Number);
        }

        public Job? Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
            => reader.TryReadNil() ? null : new Job(reader.ReadInt32());
    }
}

public sealed class MemoryPackTaskTests : TaskConformance
{
    static MemoryPackTaskTests() => MemoryPackFormatterProvider.Register(new JobFormatter());

    protected override Task<IRouteHarness> CreateHarnessAsync()
        => Task.FromResult<IRouteHarness>(new SegmentHarness(inProcess: false, static o => o.UseMemoryPack()));

    private sealed class JobFormatter : MemoryPackFormatter<Job>
    {
        public override void Serialize<TBufferWriter>(ref MemoryPackWriter<TBufferWriter> writer, scoped ref Job? value)
        {
            if (value is null) writer.WriteNullObjectHeader();
            else writer.WriteObjectHeader(1);
            if (value is not null) writer.WriteUnmanaged(value.Number);
        }

        public override void Deserialize(ref MemoryPackReader reader, scoped ref Job? value)
            => value = reader.TryReadObjectHeader(out _) ? new Job(reader.ReadUnmanaged<int>()) : null;
    }
}
