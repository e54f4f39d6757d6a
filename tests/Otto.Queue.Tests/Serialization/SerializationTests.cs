using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Serialization;

/// <summary>How tasks become bytes, and how one learns early that a type does not survive it.</summary>
internal sealed class SerializationTests : QueueTest
{
    [Test]
    public async Task With_RoundTripEveryTask_the_handler_gets_a_copy_that_went_through_the_serializer()
    {
        TaskCompletionSource<ResizePhoto> arrived = new();
        TaskQueueOptions options = Options().AddHandler<ResizePhoto>("photos.resize", (task, _, _) =>
        {
            arrived.TrySetResult(task);
            return default;
        });
        options.RoundTripEveryTask = true;
        TaskQueue queue = await StartAsync(options);

        ResizePhoto photo = new("a.jpg", 7);
        await queue.EnqueueAsync(photo);

        Assert.That(await arrived.Task.Soon(), Is.EqualTo(photo).And.Not.SameAs(photo));
    }

    [Test]
    public async Task A_type_that_forgets_shows_in_the_handler()
    {
        TaskCompletionSource<int> number = new();
        TaskQueueOptions options = Options().AddHandler<LossyJsonTask>("forgetful", (task, _, _) =>
        {
            number.TrySetResult(task.Number());
            return default;
        });
        options.RoundTripEveryTask = true;
        TaskQueue queue = await StartAsync(options);

        await queue.EnqueueAsync(new LossyJsonTask(42));

        Assert.That(await number.Task.Soon(), Is.Not.EqualTo(42));
    }

    [TestCase(Durability.None)]
    [TestCase(Durability.Process)]
    public async Task A_type_that_changes_on_the_way_is_refused_and_leaves_nothing_behind(Durability durability)
    {
        TaskQueueOptions options = Options().AddHandler<UnstableJsonTask>("restless", static (_, _, _) => default);
        options.RoundTripEveryTask = true;
        TaskQueue queue = await StartAsync(options);

        Assert.That(async () => await queue.EnqueueAsync(new UnstableJsonTask(), new() { Durability = durability }),
            Throws.TypeOf<TaskSerializationException>().With.Message.Contains("'restless'").And.Message.Contains("does not survive"));
        Assert.That(Inspect("restless"), Is.EqualTo(Inspect("restless") with { Ready = 0, Leased = 0, Dead = 0 }));
    }

    [Test]
    public async Task Source_generated_contracts_carry_tasks_between_processes()
    {
        TaskCompletionSource<ResizePhoto> arrived = new();
        await StartAsync(Options().UseJson(TestJson.Default).AddHandler<ResizePhoto>("photos.resize", (task, _, _) =>
        {
            arrived.TrySetResult(task);
            return default;
        }));
        TaskQueue producer = Make(Options().UseJson(TestJson.Default).AddProducer<ResizePhoto>("photos.resize"));

        await producer.EnqueueAsync(new ResizePhoto("ä.jpg", 9));

        Assert.That(await arrived.Task.Soon(), Is.EqualTo(new ResizePhoto("ä.jpg", 9)));
    }

    [Test]
    public void A_type_without_a_contract_is_rejected_at_start_and_the_error_names_the_way_out()
    {
        Assert.That(() => new TaskQueue(Options().UseJson(TestJson.Default).AddProducer<LossyJsonTask>("forgetful")),
            Throws.ArgumentException.With.Message.Contains("task 'forgetful': no JSON contract for").And.Message.Contains(
                "[JsonSerializable(typeof(LossyJsonTask))]"));
        Assert.That(() => new TaskQueue(
            Options().UseJson(new JsonSerializerOptions { TypeInfoResolver = JsonTypeInfoResolver.Combine() }).AddProducer<Job>("jobs")),
            Throws.ArgumentException);
    }

    [Test]
    public void In_process_only_nothing_has_to_be_serializable()
        => Assert.That(() =>
        Make(InProcessOnly().UseJson(TestJson.Default).AddHandler<LossyJsonTask>("forgetful", static (_, _, _) => default)),
        Throws.Nothing);

    [Test]
    public async Task Memory_arrives_in_place_and_arrays_as_copies()
    {
        TaskCompletionSource<byte[]> array = new(), memory = new();
        await StartAsync(Options()
            .AddHandler<byte[]>("array", (task, _, _) =>
            {
                array.TrySetResult(task);
                return default;
            })
            .AddHandler<ReadOnlyMemory<byte>>("memory", (task, _, _) =>
            {
                memory.TrySetResult(task.ToArray());
                return default;
            }));
        TaskQueue producer = Make(Options().AddProducer<byte[]>("array").AddProducer<ReadOnlyMemory<byte>>("memory"));

        await producer.EnqueueAsync(new byte[] { 1, 2 });
        await producer.EnqueueAsync<ReadOnlyMemory<byte>>(new byte[] { 3, 4 });

        Assert.That((await array.Task.Soon(), await memory.Task.Soon()), Is.EqualTo((new byte[] { 1, 2 }, new byte[] { 3, 4 })));
    }

    [Test]
    public async Task Another_serializer_takes_a_few_lines()
    {
        TaskCompletionSource<Job> arrived = new();
        await StartAsync(Options().AddHandler<Job>("jobs", (task, _, _) =>
        {
            arrived.TrySetResult(task);
            return default;
        }, h => h.Serializer = new NumberSerializer()));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs", h => h.Serializer = new NumberSerializer()));

        await producer.EnqueueAsync(new Job(77));

        Assert.That(await arrived.Task.Soon(), Is.EqualTo(new Job(77)));
    }

    private sealed class NumberSerializer : ITaskSerializer
    {
        public byte Format => 128;

        public string? Refuses(Type task) => task == typeof(Job) ? null : $"{task} is no Job";

        public void Serialize<TTask>(TTask task, IBufferWriter<byte> output) =>
            output.Write(BitConverter.GetBytes(((Job)(object)task!).Number));

        public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload) => (TTask)(object)new Job(BitConverter.ToInt32(payload.Span));
    }
}
