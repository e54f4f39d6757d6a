using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.Server;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.PubSub;

// What the commands do, whichever dialect they came in: change the store, and tell whoever watches. Every change has a number.

/// <summary>The store, the topics, and who is told of them.</summary>
internal sealed class Broker(UdsServerOptions options, TimerQueue alarms)
{
    private static readonly long ProgressEvery = TimerQueue.Ticks(TimeSpan.FromMilliseconds(100));
    private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Subscriptions _subscriptions = new();
    private readonly ArrayBufferWriter<byte> _json = new();
    private long _sequence;

    public KeyTable Keys { get; } = new(options.MaxTotalBytes);

    /// <summary>Sets a key.</summary>
    /// <returns>Why there is no room; <see langword="null"/> where it was set.</returns>
    public string? Set(ReadOnlySpan<byte> key, Value value)
    {
        if (Keys.Set(key, value, out string? problem) is not { } entry) return problem;
        Tell(entry);
        return null;
    }

    /// <summary>Deletes a key.</summary>
    /// <returns><see langword="false"/> where there was none.</returns>
    public bool Delete(ReadOnlySpan<byte> key)
    {
        if (!Keys.Remove(key, out Entry? entry)) return false;
        long sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Tell(EventKind.Delete, entry.Key, null, sequence);
        return true;
    }

    public void Publish(ReadOnlySpan<byte> topic, Value message)
    {
        long sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Tell(EventKind.Message, topic.ToArray(), message, sequence);
    }

    /// <summary>Keeps progress under a task's key, and tells watchers at most ten times a second, the last time in any case.</summary>
    /// <param name="task">The task.</param>
    /// <param name="arguments">The rest of the command: current, total or -, text.</param>
    /// <param name="problem">What is wrong with it, or why there is no room.</param>
    /// <returns>The code of the error; <see langword="null"/> where it was kept.</returns>
    public string? Progress(ReadOnlySpan<byte> task, ReadOnlySpan<byte> arguments, out string problem)
    {
        problem = "";
        string name = Encoding.UTF8.GetString(task);
        if (!ChannelName.TryParse(name, out _))
        {
            problem = $"a task is 1 to {ChannelName.MaxLength} letters, digits, '.', '_' or '-'";
            return ErrorCode.BadKey;
        }

        if (!ProgressArguments.TryParse(arguments, out ProgressArguments parsed, out problem)) return ErrorCode.BadCommand;
        _json.ResetWrittenCount();
        using (var writer = new Utf8JsonWriter(_json, OneLine))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("current"u8);
            writer.WriteRawValue(parsed.Current, skipInputValidation: true);
            writer.WritePropertyName("total"u8);
            if (parsed.Total.IsEmpty) writer.WriteNullValue();
            else writer.WriteRawValue(parsed.Total, skipInputValidation: true);
            if (!parsed.Text.IsEmpty) writer.WriteString("text"u8, parsed.Text);
            writer.WriteEndObject();
        }

        Span<byte> key = stackalloc byte[ChannelName.MaxLength + 9];
        task.CopyTo(key);
        ".progress"u8.CopyTo(key[task.Length..]);
        if (Keys.Set(key[..(task.Length + 9)], Value.FromJson(_json.WrittenSpan.ToArray()), out string? full) is not { } entry)
        {
            problem = full!;
            return ErrorCode.TooBig;
        }

        TellInTime(entry);
        return null;
    }

    /// <summary>Tells of progress that was held back.</summary>
    public void Due(Entry entry)
    {
        if (!entry.IsHeldBack || !Keys.TryGet(entry.Key, out Entry? now) || now != entry) return;
        entry.IsHeldBack = false;
        TellInTime(entry);
    }

    /// <summary>Subscribes a connection to a pattern; a pattern that it has gets the new interests.</summary>
    /// <param name="connection">Who.</param>
    /// <param name="pattern">To what.</param>
    /// <param name="interests">What it wants to hear of.</param>
    /// <param name="problem">Why not.</param>
    /// <returns>The code of the error; <see langword="null"/> where it is subscribed.</returns>
    public string? Subscribe(Connection connection, KeyPattern pattern, Interests interests, out string problem)
    {
        problem = "";
        Subscriber subscriber = connection.Subscriber ?? new Subscriber(connection, this);
        Subscription? before = Find(connection, pattern.ToString());
        if (before is null && subscriber.Subscriptions.Count >= options.MaxPatterns)
        {
            problem = $"{subscriber.Subscriptions.Count:N0} patterns are the most of one connection";
            return ErrorCode.Busy;
        }

        if ((interests & Interests.Snapshot) != 0 && !subscriber.TryAddSnapshot(Keys.Matching(pattern)))
        {
            problem = $"the values of the snapshot are more than may wait beside all else, {options.MaxBufferedBytes:N0} bytes; use a narrower pattern, or subscribe without SNAPSHOT and GET";
            return ErrorCode.Busy;
        }

        connection.Subscriber = subscriber;
        var subscription = new Subscription(subscriber, pattern, interests, before?.Since ?? _sequence);
        if (before is null)
        {
            subscriber.Add(subscription);
        }
        else
        {
            subscriber.Replace(before, subscription);
            _subscriptions.Remove(before);
        }

        _subscriptions.Add(subscription);
        return null;
    }

    public static bool IsSubscribed(Connection connection) => connection.Subscriber is { Subscriptions.Count: > 0 };

    public void Unsubscribe(Connection connection, string pattern)
    {
        if (Find(connection, pattern) is not { } subscription) return;
        subscription.Subscriber.Remove(subscription, _sequence);
        _subscriptions.Remove(subscription);
    }

    /// <summary>A connection has gone.</summary>
    public void Leave(Connection connection)
    {
        if (connection.Subscriber is not { } subscriber) return;
        foreach (Subscription subscription in subscriber.Subscriptions) _subscriptions.Remove(subscription);
        subscriber.Clear();
        connection.Subscriber = null;
    }

    private static Subscription? Find(Connection connection, string pattern) => connection.Subscriber?.Subscriptions.FirstOrDefault(s => s.Pattern.ToString() == pattern);

    private void Tell(Entry entry)
    {
        entry.IsHeldBack = false;
        entry.Sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Tell(EventKind.Set, entry.Key, entry.Value, entry.Sequence);
    }

    private void TellInTime(Entry entry)
    {
        if (entry.IsHeldBack) return;
        long now = Stopwatch.GetTimestamp();
        if (entry.ToldAt != 0 && now - entry.ToldAt < ProgressEvery)
        {
            entry.IsHeldBack = true;
            alarms.Set(new TimerEntry(TimerKind.Progress, null, entry), entry.ToldAt + ProgressEvery);
            return;
        }

        entry.ToldAt = now;
        Tell(entry);
    }
}
