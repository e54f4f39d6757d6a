using Otto.Ipc;

namespace Otto.Queue;

// The message that has a key. A recurring task that was replaced or cancelled while it ran may have the key too, until its last run has
// ended.

internal sealed class KeyedMessage
{
    private byte[] _start = [];

    internal TaskId Id { get; private set; }

    internal WorkId Work { get; private set; }

    /// <summary>Whether a worker holds it.</summary>
    internal bool IsHeld { get; private set; }

    private bool IsEnding { get; set; }

    /// <summary>Finds the message that has a key.</summary>
    internal static KeyedMessage? Find(SearchableWorkQueue queue, byte[] key)
    {
        KeyedMessage? ending = null;
        while (true)
        {
            KeyedMessage found = new();
            if (!queue.TryFind(m =>
                {
                    if (!EnvelopeReader.KeyOf(m).SequenceEqual(key)) return false;
                    TaskId id = EnvelopeReader.IdOf(m);
                    if (id == ending?.Id) return false;
                    found.Id = id;
                    found._start = RecurringEnvelope.Recurs(m) ? m.ToArray() : [];
                    return true;
                }, out WorkId work, out bool held)) return ending;
            (found.Work, found.IsHeld) = (work, held);
            found.IsEnding = found._start.Length > 0 && queue.IsCancelRequested(work);
            if (!found.IsEnding || ending is not null) return found;
            ending = found;
        }
    }

    /// <summary>Whether a new message of the same key takes its place.</summary>
    internal bool IsReplacedBy(ReadOnlySpan<byte> message) =>
        _start.Length > 0 && RecurringEnvelope.Recurs(message) && (IsEnding || !RecurringEnvelope.IsSame(_start, message));

    /// <summary>Whether an earlier schedule of the same key still runs.</summary>
    internal static bool IsHeldByOther(SearchableWorkQueue queue, ReadOnlySpan<byte> message)
    {
        byte[] key = EnvelopeReader.KeyOf(message).ToArray();
        TaskId self = EnvelopeReader.IdOf(message);
        return queue.TryFind(
            m => EnvelopeReader.KeyOf(m).SequenceEqual(key) && EnvelopeReader.IdOf(m) != self && RecurringEnvelope.Recurs(m),
            out WorkId other, out bool held) && held && queue.IsCancelRequested(other);
    }
}
