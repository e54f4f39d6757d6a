using System.Buffers.Binary;

namespace Otto.Queue;

// What a register of keys must know of a recurring task's envelope: whether another is the same schedule. An envelope may be cut short, or
// anything at all.

internal static class RecurringEnvelope
{
    /// <summary>Whether an envelope's task recurs and has a key.</summary>
    internal static bool IsKeyed(ReadOnlySpan<byte> message) => Recurs(message) && message[EnvelopeLayout.KeyLengthAt] > 0;

    /// <summary>Whether an envelope's task recurs.</summary>
    internal static bool Recurs(ReadOnlySpan<byte> message) =>
        EnvelopeReader.IsEnvelope(message)
        && (Flags(message) & EnvelopeLayout.Recurs) != 0 && IntervalAt(message) + EnvelopeLayout.EveryBytes <= message.Length;

    /// <summary>When it was enqueued, by its producer's clock.</summary>
    internal static long EnqueuedAt(ReadOnlySpan<byte> message) =>
        BinaryPrimitives.ReadInt64LittleEndian(message[EnvelopeLayout.EnqueuedAt..]);

    /// <summary>A copy that was enqueued after another envelope, also where a clock was set back.</summary>
    internal static byte[] EnqueuedAfter(ReadOnlySpan<byte> message, long other)
    {
        byte[] copy = message.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(copy.AsSpan(EnvelopeLayout.EnqueuedAt), Math.Max(EnqueuedAt(message), other + 1));
        return copy;
    }

    /// <summary>The interval of an envelope that recurs.</summary>
    internal static TimeSpan Interval(ReadOnlySpan<byte> message) =>
        TimeSpan.FromMicroseconds(BinaryPrimitives.ReadInt64LittleEndian(message[IntervalAt(message)..]));

    /// <summary>Whether two envelopes that recur are the same schedule: name, interval, format and payload.</summary>
    /// <param name="kept">The one that is kept, perhaps only its beginning.</param>
    /// <param name="added">The other, whole.</param>
    internal static bool IsSame(ReadOnlySpan<byte> kept, ReadOnlySpan<byte> added)
    {
        if (Interval(kept) != Interval(added) || !Name(kept).SequenceEqual(Name(added))
            || kept[EnvelopeLayout.FormatAt] != added[EnvelopeLayout.FormatAt]
            || PayloadBytes(kept) != PayloadBytes(added)) return false;
        // What a search shows of a large message is its beginning; its digest speaks for the rest.
        if (Digest(kept, out ReadOnlySpan<byte> keptDigest) && Digest(added, out ReadOnlySpan<byte> addedDigest))
            return keptDigest.SequenceEqual(addedDigest);
        ReadOnlySpan<byte> one = Payload(kept), other = Payload(added);
        return one.Length <= other.Length && other.StartsWith(one);
    }

    /// <summary>Where the extensions of an envelope that recurs begin.</summary>
    internal static int ExtensionsAt(ReadOnlySpan<byte> message) => IntervalAt(message) + EnvelopeLayout.EveryBytes;

    private static bool Digest(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> digest)
    {
        digest = default;
        int from = ExtensionsAt(message);
        int to = Math.Min(message.Length, BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]));
        return (Flags(message) & EnvelopeLayout.HasExtensions) != 0 && from < to
            && EnvelopeExtensions.TryFind(message[from..to], EnvelopeLayout.DigestKind, out digest);
    }

    private static uint PayloadBytes(ReadOnlySpan<byte> message) =>
        BinaryPrimitives.ReadUInt32LittleEndian(message[EnvelopeLayout.PayloadBytesAt..]);

    private static ushort Flags(ReadOnlySpan<byte> message) => BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.FlagsAt..]);

    private static int IntervalAt(ReadOnlySpan<byte> message) =>
        EnvelopeLayout.FixedBytes + message[EnvelopeLayout.NameLengthAt] + message[EnvelopeLayout.KeyLengthAt]
        + ((Flags(message) & EnvelopeLayout.HasTrace) != 0 ? EnvelopeLayout.TraceBytes : 0);

    private static ReadOnlySpan<byte> Name(ReadOnlySpan<byte> message) =>
        message.Slice(EnvelopeLayout.FixedBytes, message[EnvelopeLayout.NameLengthAt]);

    private static ReadOnlySpan<byte> Payload(ReadOnlySpan<byte> message) =>
        message[Math.Min(message.Length, BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]))..];
}
