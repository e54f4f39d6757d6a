using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Otto.Queue;
using Otto.Queue.Redis;

namespace Otto.Ipc.Benchmarks.Tasks;

// One way of sending tasks, the same words for the producer and for the worker's process.

/// <param name="Route">inprocess, mmap or redis.</param>
/// <param name="Format">raw (bytes where they lie), bytes (an array, as an object), or json.</param>
/// <param name="Scope">Whether each task has a scope of services, and a handler made in it.</param>
internal sealed record TaskPlan(string Route, string Format, bool Scope)
{
    public const string Queue = "bench.task", RedisVariable = "OTTO_BENCH_REDIS";
    public const int Bytes = 200, Places = 1;

    public bool IsJson => Format == "json";

    public string Mode => Scope ? $"{Format}, scope" : Format;

    /// <summary>Options that handle tasks here.</summary>
    public TaskQueueOptions Handling(string directory, TaskSink sink)
    {
        TaskQueueOptions options = Options(directory);
        if (Scope)
        {
            options.Services = new ServiceCollection().AddSingleton(sink).AddScoped<JsonTaskHandler>().AddScoped<RawTaskHandler>()
                .AddScoped<BytesTaskHandler>().BuildServiceProvider();
            return Format switch
            {
                "json" => options.AddHandler<BenchTask, JsonTaskHandler>(Queue, static h => h.Concurrency = Places),
                "bytes" => options.AddHandler<byte[], BytesTaskHandler>(Queue, static h => h.Concurrency = Places),
                _ => options.AddHandler<ReadOnlyMemory<byte>, RawTaskHandler>(Queue, static h => h.Concurrency = Places),
            };
        }

        return Format switch
        {
            "json" => options.AddHandler<BenchTask>(Queue, (task, _, _) => sink.Take(task.SentAt, task.Payload),
                static h => { h.Scope = false; h.Concurrency = Places; }),
            "bytes" => options.AddHandler<byte[]>(Queue, (task, _, _) => sink.Take(task),
                static h => { h.Scope = false; h.Concurrency = Places; }),
            _ => options.AddHandler<ReadOnlyMemory<byte>>(Queue, (task, _, _) => sink.Take(task.Span),
                static h => { h.Scope = false; h.Concurrency = Places; }),
        };
    }

    /// <summary>Options that only send.</summary>
    public TaskQueueOptions Sending(string directory)
        => IsJson ? Options(directory).AddProducer<BenchTask>(Queue) : Options(directory).AddProducer<ReadOnlyMemory<byte>>(Queue);

    private TaskQueueOptions Options(string directory)
    {
        TaskQueueOptions options = new TaskQueueOptions().UseJson(BenchJson.Default)
            .UseInProcess(o =>
            {
                o.Enabled = Route == "inprocess";
                o.Capacity = 8192;
                o.FullMode = QueueFullMode.Wait;
            })
            .UseSharedMemory(o =>
            {
                o.Enabled = Route == "mmap" || directory.Length > 0;
                o.Directory = directory;
                o.SlotBytes = 1024;
            });
        if (Route == "redis")
            options.UseSharedMemory(static o => o.Enabled = false).UseRedis(Environment.GetEnvironmentVariable(RedisVariable)!);
        return options;
    }
}

/// <summary>A task as a program would have it.</summary>
internal sealed record BenchTask(long SentAt, byte[] Payload);

[JsonSerializable(typeof(BenchTask))]
internal sealed partial class BenchJson : JsonSerializerContext;

internal sealed class JsonTaskHandler(TaskSink sink) : ITaskHandler<BenchTask>
{
    public ValueTask HandleAsync(BenchTask task, TaskContext context, CancellationToken cancellationToken) =>
        sink.Take(task.SentAt, task.Payload);
}

internal sealed class BytesTaskHandler(TaskSink sink) : ITaskHandler<byte[]>
{
    public ValueTask HandleAsync(byte[] task, TaskContext context, CancellationToken cancellationToken) => sink.Take(task);
}

internal sealed class RawTaskHandler(TaskSink sink) : ITaskHandler<ReadOnlyMemory<byte>>
{
    public ValueTask HandleAsync(ReadOnlyMemory<byte> task, TaskContext context, CancellationToken cancellationToken) =>
        sink.Take(task.Span);
}
