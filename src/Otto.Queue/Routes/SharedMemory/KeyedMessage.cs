using System.Text;
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

    /// <summary>What a queue files a key under: FNV-1a, never zero.</summary>
    internal static ulong HashOf(ReadOnlySpan<byte> key)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (byte b in key) hash = (hash ^ b) * 0x100_0000_01B3;
        return hash | 1;
    }

    /// <inheritdoc cref="HashOf(ReadOnlySpan{byte})"/>
    internal static ulong HashOf(string key) => HashOf(Encoding.UTF8.GetBytes(key));

    /// <summary>Whether a message keeps others of its key out: not in the last run of a schedule that was replaced or
    /// cancelled.</summary>
    internal static bool HasKey(ReadOnlySpan<byte> message, bool isCancelRequested, ReadOnlySpan<byte> key) =>
        EnvelopeReader.KeyOf(message).SequenceEqual(key) && !(isCancelRequested && RecurringEnvelope.Recurs(message));

    /// <summary>Finds the message that keeps others of a key out.</summary>
    internal static KeyedMessage? Find(LabelledWorkQueue queue, byte[] key)
    {
        KeyedMessage found = new();
        if (!queue.TryFindKey(HashOf(key), (message, isCancelRequested) =>
            {
                if (!HasKey(message, isCancelRequested, key)) return false;
                found.Id = EnvelopeReader.IdOf(message);
                found._start = RecurringEnvelope.Recurs(message) ? message.ToArray() : [];
                return true;
            }, out WorkId work, out bool held)) return null;
        (found.Work, found.IsHeld) = (work, held);
        return found;
    }

    /// <summary>Whether a new message of the same key takes its place.</summary>
    internal bool IsReplacedBy(ReadOnlySpan<byte> message) =>
        _start.Length > 0 && RecurringEnvelope.Recurs(message) && !RecurringEnvelope.IsSame(_start, message);

    /// <summary>Whether an earlier schedule of the same key still runs.</summary>
    internal static bool IsHeldByOther(LabelledWorkQueue queue, ReadOnlySpan<byte> message)
    {
        byte[] key = EnvelopeReader.KeyOf(message).ToArray();
        TaskId self = EnvelopeReader.IdOf(message);
        return queue.TryFindKey(HashOf(key), (m, isCancelRequested) => isCancelRequested && RecurringEnvelope.Recurs(m)
            && EnvelopeReader.IdOf(m) != self && EnvelopeReader.KeyOf(m).SequenceEqual(key), out _, out bool held) && held;
    }
}
