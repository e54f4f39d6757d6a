using System.Text.Json.Serialization;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Serialization;

/// <summary>What would be lost on the way to another process is found at the start, or at the enqueue.</summary>
internal sealed class LossTests : QueueTest
{
    public record Animal(string Name);

    public sealed record Dog(string Name, int Teeth) : Animal(Name);

    [JsonDerivedType(typeof(Circle), "circle")]
    public record Shape(int Number);

    public sealed record Circle(int Number, int Radius) : Shape(Number);

    public sealed class PrivateSetter
    {
        public int Number { get; private set; }

        public int Twice => Number * 2;
    }

    public sealed class Field
    {
        public int Number = 1;
    }

    public sealed record Computed(int Number)
    {
        public int Twice => Number * 2;
    }

    [Test]
    public void Members_that_JSON_leaves_out_are_found_at_the_start()
    {
        Refuses<PrivateSetter>("property Number of");
        Refuses<Field>("field Number of");
        Refuses<(int, string)>("field Item1 of");
        Assert.That(() => Make(Options().AddProducer<Computed>("computed")), Throws.Nothing);
        Assert.That(() => Make(InProcessOnly().AddHandler<Field>("here", static (_, _, _) => default)), Throws.Nothing, "it never leaves");
    }

    private void Refuses<T>(string what)
        where T : notnull
        => Assert.That(() => Make(Options().AddProducer<T>("jobs")), Throws.ArgumentException.With.Message.Contains(what));

    [Test]
    public void A_result_that_cannot_be_written_is_found_at_the_start() =>
        Assert.That(() => Make(Options().AddHandler<byte[], int>("jobs", static (_, _, _) => new ValueTask<int>(1))),
            Throws.ArgumentException.With.Message.StartsWith("task 'jobs': its result:"));

    [Test]
    public async Task A_derived_task_is_refused_where_it_would_lose_members_whatever_route_it_takes([Values] bool handledHere)
    {
        TaskQueueOptions options = Options();
        TaskQueue queue = await StartAsync(handledHere ? options.AddHandler<Animal>("animals", static (_, _, _) => default)
            : options.AddProducer<Animal>("animals"));
        Assert.That(async () => await queue.EnqueueAsync<Animal>(new Dog("Rex", 42)),
            Throws.InstanceOf<TaskSerializationException>().With.Message.Contains("is declared as").And.Message.Contains(
                "[JsonDerivedType]"));
        await queue.EnqueueAsync(new Animal("Rex"));
    }

    [Test]
    public async Task A_derived_task_that_the_serializer_knows_arrives_as_one([Values] bool inProcess)
    {
        TaskCompletionSource<Shape> came = new();
        TaskQueue queue = await StartAsync(Options().UseInProcess(o => o.Enabled = inProcess).AddHandler<Shape>("shapes", (shape, _, _) =>
        {
            came.TrySetResult(shape);
            return default;
        }));
        await queue.EnqueueAsync<Shape>(new Circle(1, 2));
        Assert.That(await came.Task.Soon(), Is.EqualTo(new Circle(1, 2)));
    }
}
