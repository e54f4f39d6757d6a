using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.Store;
using Otto.Ipc.Uds.Timers;

namespace Otto.Ipc.Uds.PubSub;

// What the commands do, whichever dialect they came in: change the store, and notify subscribers. Every change has a number.

/// <summary>The store, the topics, and their subscribers.</summary>
internal sealed class KeyValueBroker(UdsServerOptions options, MemoryBudget budget) : ICommandHandler
{
    private static readonly long ProgressInterval = TimeStamps.Ticks(TimeSpan.FromMilliseconds(100));
    private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Subscriptions _subscriptions = new();
    private readonly ArrayBufferWriter<byte> _json = new();
    private long _sequence;

    private readonly KeyTable _keys = new(options.MaxTotalBytes);

    // Progress that came too soon after what subscribers were notified of.
    private readonly TimerQueue<Entry> _heldBack = new();

    public int KeyCount => _keys.Count;

    public bool TryGet(ReadOnlySpan<byte> key, [MaybeNullWhen(false)] out Value value)
    {
        bool there = _keys.TryGet(key, out Entry? entry);
        value = entry?.Value;
        return there;
    }

    public byte[][] ListKeys(KeyPattern pattern) => _keys.Keys(pattern);

    public string? Set(ReadOnlySpan<byte> key, Value value)
    {
        if (_keys.Set(key, value, out string? problem) is not { } entry) return problem;
        Notify(entry);
        return null;
    }

    public bool Delete(ReadOnlySpan<byte> key)
    {
        if (!_keys.Remove(key, out Entry? entry)) return false;
        long sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Notify(EventKind.Delete, entry.Key, null, sequence);
        return true;
    }

    public void Publish(ReadOnlySpan<byte> topic, Value message)
    {
        long sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Notify(EventKind.Message, topic.ToArray(), message, sequence);
    }

    // Subscribers are notified at most ten times per second, and of the last progress in any case.
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
        if (_keys.Set(key[..(task.Length + 9)], Value.FromJson(_json.WrittenSpan.ToArray()), out string? full) is not { } entry)
        {
            problem = full!;
            return ErrorCode.TooBig;
        }

        NotifyInTime(entry);
        return null;
    }

    /// <summary>How long it is until progress that was held back is due, in milliseconds;
    /// -1 if there is none.</summary>
    public int MillisecondsUntilDue(long now) => _heldBack.Milliseconds(now);

    /// <summary>Notifies subscribers of progress that was held back and is due.</summary>
    public void NotifyDue(long now)
    {
        while (_heldBack.TryTake(now, out Entry entry))
        {
            if (!entry.IsHeldBack || !_keys.TryGet(entry.Key, out Entry? present) || present != entry) continue;
            entry.IsHeldBack = false;
            NotifyInTime(entry);
        }
    }

    /// <summary>What a client needs before its first subscription.</summary>
    public Subscriber NewSubscriber(ISubscriberSink sink) => new(sink, options, budget, _keys);

    /// <summary>Adds a subscription; a pattern that the subscriber has gets the new interests.</summary>
    /// <param name="subscriber">Whose.</param>
    /// <param name="pattern">To what.</param>
    /// <param name="interests">Which events.</param>
    /// <param name="problem">Why not.</param>
    /// <returns>The code of the error; <see langword="null"/> if it is subscribed.</returns>
    public string? Subscribe(Subscriber subscriber, KeyPattern pattern, Interests interests, out string problem)
    {
        problem = "";
        Subscription? before = Find(subscriber, pattern.ToString());
        if (before is null && subscriber.Subscriptions.Count >= options.MaxPatterns)
        {
            problem = $"{subscriber.Subscriptions.Count:N0} patterns are the most of one connection";
            return ErrorCode.Busy;
        }

        if ((interests & Interests.Snapshot) != 0 && !subscriber.TryAddSnapshot(_keys.Matching(pattern)))
        {
            problem = $"the values of the snapshot are more than may wait beside all else, {options.MaxBufferedBytes:N0} bytes; use a "
                + $"narrower pattern, or subscribe without SNAPSHOT and GET";
            return ErrorCode.Busy;
        }

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

    /// <summary>Ends the subscription to a pattern, if there is one.</summary>
    public void Unsubscribe(Subscriber subscriber, string pattern)
    {
        if (Find(subscriber, pattern) is not { } subscription) return;
        subscriber.Remove(subscription, _sequence);
        _subscriptions.Remove(subscription);
    }

    /// <summary>Ends all subscriptions of a client that has gone.</summary>
    public void Remove(Subscriber subscriber)
    {
        foreach (Subscription subscription in subscriber.Subscriptions) _subscriptions.Remove(subscription);
        subscriber.Clear();
    }

    private static Subscription? Find(Subscriber subscriber, string pattern) =>
        subscriber.Subscriptions.FirstOrDefault(s => s.Pattern.ToString() == pattern);

    private void Notify(Entry entry)
    {
        entry.IsHeldBack = false;
        entry.Sequence = ++_sequence;
        if (!_subscriptions.IsEmpty) _subscriptions.Notify(EventKind.Set, entry.Key, entry.Value, entry.Sequence);
    }

    private void NotifyInTime(Entry entry)
    {
        if (entry.IsHeldBack) return;
        long now = Stopwatch.GetTimestamp();
        if (entry.NotifiedAt != 0 && now - entry.NotifiedAt < ProgressInterval)
        {
            entry.IsHeldBack = true;
            _heldBack.Set(entry, entry.NotifiedAt + ProgressInterval);
            return;
        }

        entry.NotifiedAt = now;
        Notify(entry);
    }
}
