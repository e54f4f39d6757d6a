using System.Buffers;
using System.CommandLine;
using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;
using Otto.Queue;
using Otto.Queue.Redis;

namespace Otto.Tools.Queue;

// The arguments by which every command for queues says where the queue is, and the queue that they make of them.

internal sealed class QueueTarget
{
    private const int Longest = 10_000_000;

    // All strings: the parser's generic code over numbers would have to be compiled at each start.
    private readonly Option<string?> _directory =
        new("--dir")
        {
            Description = $"The directory of segments. Default: OTTO_SHM_DIR, else {SystemPaths.SharedMemory}/otto-<uid>.",
            HelpName = "DIR",
        };
    private readonly Option<string?> _redis =
        new("--redis") { Description =
        "Also use this Redis server, such as localhost:6379,password=... Default: OTTO_REDIS; none for none.", HelpName = "SERVER" };
    private readonly Option<string?> _prefix =
        new("--prefix") { Description =
        "What keys and channels in Redis begin with, as in RedisRouteOptions.Prefix. Default: OTTO_REDIS_PREFIX, else otto.",
            HelpName = "PREFIX" };
    private readonly Option<string?> _as =
        new("--as") { Description = "What a payload is: raw bytes, or json for handlers that are written in .NET. Default: raw.",
            HelpName = "raw|json" };

    public QueueTarget(Command command, bool withFormat)
    {
        command.Add(_directory);
        command.Add(_redis);
        command.Add(_prefix);
        if (withFormat) command.Add(_as);
    }

    public string? Directory(ParseResult parsed) => parsed.GetValue(_directory);

    public string? Redis(ParseResult parsed) =>
        (parsed.GetValue(_redis) ?? Environment.GetEnvironmentVariable("OTTO_REDIS")) is { Length: > 0 } and not "none" and var server
        ? server : null;

    public string Prefix(ParseResult parsed) => parsed.GetValue(_prefix)
        ?? (Environment.GetEnvironmentVariable("OTTO_REDIS_PREFIX") is { Length: > 0 } prefix ? prefix : new RedisRouteOptions().Prefix);

    /// <summary>Options for a program that works with this queue and has no other.</summary>
    public TaskQueueOptions Options(ParseResult parsed, TimeSpan? drainTimeout = null)
    {
        TaskQueueOptions options =
            new TaskQueueOptions().UseInProcess(static o => o.Enabled = false).UseSharedMemory(o => o.Directory = Directory(parsed));
        if (drainTimeout is { } time) options.DrainTimeout = time;
        return Redis(parsed) is { } server ? options.UseRedis(server, redis => redis.Prefix = Prefix(parsed)) : options;
    }

    /// <summary>A queue that only sends and looks.</summary>
    public TaskQueue Open(ParseResult parsed, string queue, string? task = null)
        => new(Options(parsed).AddProducer<ReadOnlyMemory<byte>>(task ?? queue, h =>
        {
            h.Queue = queue;
            h.Serializer = Serializer(parsed);
        }));

    /// <summary>
    /// Whether the queue is on a route that can be looked at. Looking must not make a segment, nor replace one that
    /// holds nothing.
    /// </summary>
    public bool Exists(ParseResult parsed, string queue)
        => Redis(parsed) is not null
        || new MmapInspector(new MmapTransportOptions { Directory = Directory(parsed) }).List().Any(
            s => s.Name == queue && s.Kind == SegmentKind.Queue && s.Condition != SegmentCondition.Retired
                && (s.Condition != SegmentCondition.Stale || s.Contents?.PendingWork is not null));

    public ITaskSerializer Serializer(ParseResult parsed) => new Verbatim(parsed.GetValue(_as) switch
    {
        null or "raw" => 0,
        "json" => 1,
        { } other => throw new ArgumentException($"--as must be raw or json: '{other}'"),
    });

    public static TimeSpan? Seconds(string? text, string option) => text is null ? null
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds) && seconds <= Longest
        ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"{option} must be 0 to {Longest:N0} seconds: '{text}'");

    public static int? Number(string? text, string option, int least, int most) => text is null ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number
        : throw new ArgumentException($"{option} must be {least:N0} to {most:N0}: '{text}'");

    public static T? Choice<T>(string? text, string option) where T : struct, Enum => text is null ? null
        : Enum.TryParse(text, ignoreCase: true, out T value) && Enum.IsDefined(value) ? value
        : throw new ArgumentException($"{option} must be one of {string.Join(", ", Enum.GetNames<T>())}: '{text}'");

    public static RouteName? Route(string? text, string option)
    {
        if (text is null) return null;
        string name = text is "mmap" ? nameof(RouteName.SharedMemory) : text;
        RouteName[] known = [RouteName.InProcess, RouteName.SharedMemory, RouteName.Redis];
        int at = Array.FindIndex(known, r => r.Value.Equals(name, StringComparison.OrdinalIgnoreCase));
        return at >= 0 ? known[at] : throw new ArgumentException($"{option} must be one of {string.Join(", ", known)}: '{text}'");
    }

    // Bytes as they are, under the format that the other side expects.
    private sealed class Verbatim(byte format) : ITaskSerializer
    {
        public byte Format => format;

        public string? Refuses(Type task) => null;

        public void Serialize<TTask>(TTask task, IBufferWriter<byte> output) => output.Write(((ReadOnlyMemory<byte>)(object)task!).Span);

        public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload) => (TTask)(object)payload;
    }
}
