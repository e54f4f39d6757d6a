using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue.Redis;

// An entry of the stream that the server has given to this worker.

internal sealed class HeldEntry(string id, string known, int attemptsBefore, string key, byte[] message)
{
    internal string Id { get; } = id;

    /// <summary>Gets its position in the stream: the two numbers of its id.</summary>
    internal (ulong Time, ulong Number) Order { get; } =
        id.IndexOf('-', StringComparison.Ordinal) is > 0 and int dash
        && ulong.TryParse(id.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out ulong time)
        && ulong.TryParse(id.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? (time, number)
        : default;

    internal byte[] Message { get; } = message;

    /// <summary>Which task has this key while the entry lives; empty for none.</summary>
    internal string Key { get; } = key;

    /// <summary>Whether the task was cancelled, or its schedule replaced, while a worker held it.</summary>
    internal bool CancelRequested { get; } = known.Contains('c', StringComparison.Ordinal);

    /// <summary>What is known of its earlier workers. Where the server cannot know whether a worker had begun, its
    /// silence is not proven to be an attempt.</summary>
    internal DeliveryHistory History { get; } = Deaths(known) is { } deaths ? new(true, deaths == 0 ? 1 : 0) : default;

    /// <summary>Attempts that count.</summary>
    internal int AttemptsCounted { get; } = attemptsBefore + (Deaths(known) is > 0 and var deaths ? deaths + 1 : 0);

    /// <summary>Attempts that its message was written with.</summary>
    internal int AttemptsBefore { get; } = attemptsBefore;

    /// <summary>Attempts that were made before the one that this entry is held for.</summary>
    internal int AttemptsMade => AttemptsCounted + History.UnprovenAttempts;

    /// <summary>Gets or sets its place among the held entries. <see cref="Use"/> identifies the use of that place. 0
    /// while it is not among them.</summary>
    internal int Place { get; set; }

    internal long Use { get; set; }

    /// <summary>When it arrived here, by <see cref="Environment.TickCount64"/>.</summary>
    internal long ArrivedAt { get; } = Environment.TickCount64;

    /// <summary>When it arrived here or was renewed, by <see cref="Environment.TickCount64"/>.</summary>
    internal long RenewedAt { get; set; } = Environment.TickCount64;

    /// <summary>Which contents of the server it is of (<see cref="RedisContents.Generation"/>).</summary>
    internal int Generation { get; set; }

    /// <summary>Whether a worker has begun with it; until then others get it after a while.</summary>
    internal bool Begun { get; set; }

    /// <summary>Its task's id as the message has it; empty if it has none.</summary>
    internal byte[] TaskIdBytes => Message.Length >= 8 + TaskId.Size ? Message.AsSpan(8, TaskId.Size).ToArray() : [];

    internal TaskId TaskId => Message.Length >= 8 + TaskId.Size ? TaskId.ReadFrom(Message.AsSpan(8)) : default;

    /// <summary>Reads what the take script answered.</summary>
    internal static List<HeldEntry> ReadTaken(RedisReply[] items)
    {
        List<HeldEntry> entries = new(items.Length / 5);
        for (int i = 0; i + 4 < items.Length; i += 5)
            entries.Add(new HeldEntry(items[i].Text, items[i + 1].Text, Number(items[i + 2]), items[i + 3].Text, items[i + 4].Bytes));
        return entries;
    }

    /// <summary>Reads what the reclaim script answered, after its cursor.</summary>
    internal static List<HeldEntry> ReadReclaimed(RedisReply[] items)
    {
        List<HeldEntry> entries = new(items.Length / 5);
        for (int i = 1; i + 4 < items.Length; i += 5)
            entries.Add(new HeldEntry(items[i].Text, items[i + 1].Text, Number(items[i + 2]), items[i + 3].Text, items[i + 4].Bytes));
        return entries;
    }

    private static int? Deaths(string known) => known.IndexOf('s', StringComparison.Ordinal) is >= 0 and var at
        && int.TryParse(known.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int deaths) ? deaths : null;

    // Other programs can write to the stream: nonsense is no reason to fall over.
    internal static int Number(RedisReply reply) =>
        int.TryParse(reply.Text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? Math.Min(value, 1_000_000) : 0;
}
