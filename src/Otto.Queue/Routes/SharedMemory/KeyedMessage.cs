using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// The message that has a key. A recurring task that was replaced or cancelled while it ran may have the key too, until its last run has
// ended.

internal sealed class KeyedMessage
{
    private byte[] _start = [];

    internal TaskId Id { get; private set; }

    /// <summary>When it was enqueued, if it recurs.</summary>
    internal long EnqueuedAt => Recurs ? RecurringEnvelope.EnqueuedAt(_start) : 0;

    /// <summary>Whether a worker holds it.</summary>
    internal bool IsHeld { get; private set; }

    private bool Recurs => _start.Length > 0;

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

    /// <summary>Finds the message that keeps others of a key out; of several schedules, the one that replaces the
    /// others.</summary>
    internal static KeyedMessage? Find(LabelledWorkQueue queue, byte[] key)
    {
        KeyedMessage? found = FindNewer(queue, key, null);
        while (found is { Recurs: true } && FindNewer(queue, key, found) is { } newer) found = newer;
        return found;
    }

    private static KeyedMessage? FindNewer(LabelledWorkQueue queue, byte[] key, KeyedMessage? older)
    {
        KeyedMessage found = new();
        if (!queue.TryFindKey(HashOf(key), (message, isCancelRequested) =>
            {
                bool recurs = RecurringEnvelope.Recurs(message);
                if (!HasKey(message, isCancelRequested, key)
                    || older is not null && !(recurs && RecurringEnvelope.EnqueuedAt(message) > older.EnqueuedAt)) return false;
                found.Id = EnvelopeReader.IdOf(message);
                found._start = recurs ? message.ToArray() : [];
                return true;
            }, out _, out bool held)) return null;
        found.IsHeld = held;
        return found;
    }

    /// <summary>Whether a new message of the same key takes its place.</summary>
    internal bool IsReplacedBy(ReadOnlySpan<byte> message) =>
        Recurs && RecurringEnvelope.Recurs(message) && !RecurringEnvelope.IsSame(_start, message);
}
