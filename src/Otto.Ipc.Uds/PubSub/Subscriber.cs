using System.Text;
using Otto.Ipc.Uds.Buffers;
using Otto.Ipc.Uds.Protocol;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.PubSub;

// A subscriber that keeps up is told at once. For one that does not, what waits is bounded: of keys, which have changed, so that each is
// told with its newest value; of topics, the newest messages, and how many were lost before them. Whoever writes waits for nobody.

/// <summary>What one client is subscribed to, and the events that were not written yet.</summary>
internal sealed class Subscriber(ISubscriberSink sink, UdsServerOptions options, MemoryBudget budget, KeyTable keys)
{
    /// <summary>How much may wait in the sink before events wait here.</summary>
    private const int OutputBytes = 64 << 10, LeastOutputBytes = 4 << 10;

    /// <summary>What one waiting event costs besides what it holds.</summary>
    private const int PendingBytes = 64;

    private readonly List<Subscription> _subscriptions = [];
    private readonly HashSet<byte[]> _changed = new(Utf8Keys.Comparer);
    private readonly Queue<(byte[] Key, long Sequence)> _changes = new();
    private readonly Queue<(byte[] Topic, Value Value, long Sequence)> _messages = new();
    private readonly Queue<Snapshot> _snapshots = new();
    private long _messageBytes, _budgeted;
    private long _lost, _lastLost;
    private long _notified;
    private long _unsubscribed;

    public IReadOnlyList<Subscription> Subscriptions => _subscriptions;

    /// <summary>
    /// Whether values of a snapshot were not sent yet. Commands wait for them, so that an answer indicates that the
    /// snapshot is complete.
    /// </summary>
    public bool HasSnapshot => _snapshots.Count > 0;

    /// <summary>Whether anything waits.</summary>
    public bool IsBehind => _changes.Count > 0 || _messages.Count > 0 || _snapshots.Count > 0 || _lost > 0;

    /// <summary>
    /// Whether more events would wait than the limit allows. The subscriber is then notified and closed.
    /// </summary>
    public bool IsTooSlow { get; private set; }

    public void Add(Subscription subscription) => _subscriptions.Add(subscription);

    /// <summary>
    /// Ends a subscription. Waiting events that no other subscription of this client matches are skipped when their
    /// turn comes.
    /// </summary>
    /// <param name="subscription">Which one.</param>
    /// <param name="sequence">The number of the last event.</param>
    public void Remove(Subscription subscription, long sequence)
    {
        _subscriptions.Remove(subscription);
        if (_subscriptions.Count == 0) Clear();
        if (!_subscriptions.Exists(static s => (s.Interests & Interests.Messages) != 0)) _lost = 0;
        _unsubscribed = sequence;
    }

    /// <summary>Puts a subscription in the place of one with the same pattern.</summary>
    public void Replace(Subscription before, Subscription now) => _subscriptions[_subscriptions.IndexOf(before)] = now;

    /// <summary>Adds the current values, which are sent before any later event.</summary>
    /// <returns>
    /// <see langword="true"/> if the values were added; <see langword="false"/> if they exceed the limit of what may
    /// wait.
    /// </returns>
    public bool TryAddSnapshot(IEnumerable<Entry> entries)
    {
        (byte[] Key, Value Value, long Sequence)[] values = [.. entries.Select(e => (e.Key, e.Value, e.Sequence))];
        if (values.Length == 0) return true;
        long bytes = values.Sum(v => (long)v.Value.HeldBytes + PendingBytes);
        if (!TryBudget(bytes)) return false;
        Array.Sort(values, static (a, b) => a.Sequence.CompareTo(b.Sequence));
        _snapshots.Enqueue(new Snapshot(values));
        return true;
    }

    /// <summary>Writes an event, now or as soon as the client has read what comes before.</summary>
    public void Notify(EventKind kind, byte[] name, Value? value, long sequence)
    {
        // Several patterns may match; it is one event.
        if (sequence == _notified || IsTooSlow) return;
        _notified = sequence;
        if (!IsBehind && HasRoom(value))
        {
            sink.WriteEvent(kind, name, value, sequence);
            sink.MarkDirty();
        }
        else if (kind == EventKind.Message)
        {
            Postpone(name, value!, sequence);
        }
        else
        {
            Postpone(name, sequence);
        }
    }

    /// <summary>Writes what waits, as far as the sink has room.</summary>
    /// <param name="most">How many events at most.</param>
    public void WritePending(int most)
    {
        while (most-- > 0 && IsBehind && sink.Unsent < MostOutput)
        {
            if (_snapshots.TryPeek(out Snapshot? snapshot))
            {
                (byte[] key, Value value, long sequence) = snapshot.Values[snapshot.Next++];
                sink.WriteEvent(EventKind.Set, key, value, sequence);
                Unbudget(value.HeldBytes + PendingBytes);
                if (snapshot.Next == snapshot.Values.Length) _snapshots.Dequeue();
            }
            else if (_changes.Count > 0
                && _changes.Peek().Sequence < (_lost > 0 ? _lastLost : _messages.Count > 0 ? _messages.Peek().Sequence : long.MaxValue))
            {
                (byte[] key, long sequence) = _changes.Dequeue();
                _changed.Remove(key);
                Unbudget(key.Length + PendingBytes);
                // Its value is that of now, so that it does not matter when the subscription began.
                if (sequence <= _unsubscribed && !Wants(Interests.Keys, key, long.MaxValue)) continue;
                bool there = keys.TryGet(key, out Entry? entry);
                sink.WriteEvent(there ? EventKind.Set : EventKind.Delete, key, entry?.Value, sequence);
            }
            else
            {
                if (_lost > 0)
                {
                    sink.WriteLost(_lost, _lastLost);
                    _lost = 0;
                    if (_messages.Count == 0) continue;
                }

                (byte[] topic, Value value, long sequence) = TakeMessage();
                if (sequence <= _unsubscribed && !Wants(Interests.Messages, topic, sequence)) continue;
                sink.WriteEvent(EventKind.Message, topic, value, sequence);
            }
        }
    }

    /// <summary>Forgets all that waits.</summary>
    public void Clear()
    {
        _changed.Clear();
        _changes.Clear();
        _messages.Clear();
        _snapshots.Clear();
        _messageBytes = _lost = 0;
        Unbudget(_budgeted);
    }

    private int MostOutput => budget.IsUnderPressure ? LeastOutputBytes : OutputBytes;

    private bool HasRoom(Value? value)
    {
        if (value is not null && !sink.HasRoomFor(value.HeldBytes)) return false;
        if (sink.Unsent < MostOutput) return true;
        // Perhaps the kernel was not asked yet, in this turn of the server.
        sink.Flush();
        return sink.Unsent < MostOutput;
    }

    /// <summary>Whether anything that it is subscribed to, and was when this happened, asks for this.</summary>
    private bool Wants(Interests wanted, byte[] name, long sequence)
    {
        Span<char> buffer = stackalloc char[WireKey.MaxBytes];
        ReadOnlySpan<char> text = buffer[..Encoding.UTF8.GetChars(name, buffer)];
        foreach (Subscription subscription in _subscriptions)
        {
            if ((subscription.Interests & wanted) != 0 && subscription.Since < sequence && subscription.Pattern.Matches(text)) return true;
        }

        return false;
    }

    private void Postpone(byte[] key, long sequence)
    {
        if (!_changed.Add(key)) return;
        if (_changes.Count >= options.MaxPendingKeys || !TryBudget(key.Length + PendingBytes))
        {
            GiveUp();
            return;
        }

        _changes.Enqueue((key, sequence));
        sink.MarkDirty();
    }

    private void Postpone(byte[] topic, Value value, long sequence)
    {
        while (_messages.Count > 0
            && (_messages.Count >= options.MaxPendingMessages || _messageBytes + value.HeldBytes > options.MaxPendingBytes))
        {
            _lost++;
            _lastLost = TakeMessage().Sequence;
        }

        if (!TryBudget(value.HeldBytes + PendingBytes))
        {
            GiveUp();
            return;
        }

        _messages.Enqueue((topic, value, sequence));
        _messageBytes += value.HeldBytes;
        sink.MarkDirty();
    }

    private (byte[] Topic, Value Value, long Sequence) TakeMessage()
    {
        (byte[] Topic, Value Value, long Sequence) message = _messages.Dequeue();
        _messageBytes -= message.Value.HeldBytes;
        Unbudget(message.Value.HeldBytes + PendingBytes);
        return message;
    }

    private void GiveUp()
    {
        IsTooSlow = true;
        sink.MarkDirty();
    }

    private bool TryBudget(long bytes)
    {
        if (!budget.HasRoomFor(bytes)) return false;
        budget.Take(bytes);
        _budgeted += bytes;
        return true;
    }

    private void Unbudget(long bytes)
    {
        budget.Give(bytes);
        _budgeted -= bytes;
    }

    private sealed class Snapshot((byte[] Key, Value Value, long Sequence)[] values)
    {
        public (byte[] Key, Value Value, long Sequence)[] Values { get; } = values;

        public int Next { get; set; }
    }
}
