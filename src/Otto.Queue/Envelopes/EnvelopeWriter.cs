using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Otto.Queue;

// Writes what an envelope says in front of a task's bytes. EnvelopeHeader.cs has the layout.

internal static class EnvelopeWriter
{
    /// <summary>Writes the fixed part, name and trace in front of a payload that follows.</summary>
    /// <param name="header">The fields.</param>
    /// <param name="buffer">An empty buffer.</param>
    /// <param name="name">The task's name as UTF-8.</param>
    internal static void Write(in EnvelopeHeader header, EnvelopeBuffer buffer, ReadOnlySpan<byte> name)
    {
        TaskMetadata? metadata = header.Metadata;
        ActivityContext trace = metadata?.Trace ?? default;
        string? key = metadata?.UniqueKey;
        bool traced = trace.TraceId != default, recurs = metadata is { Repeats: true };
        bool pinned = metadata is { IsPinned: true }, tracked = metadata is { TrackResult: true };
        int keyBytes = key is null ? 0 : Encoding.UTF8.GetByteCount(key);
        string? state = traced && trace.TraceState is { Length: > 0 } ? trace.TraceState : null, baggage = metadata?.Baggage;
        int stateBytes = Extension(state), baggageBytes = Extension(baggage);
        // A schedule is compared with others of its key, of which only the beginning is in reach.
        int digestBytes = recurs && keyBytes > 0 ? EnvelopeLayout.ExtensionHeaderBytes + EnvelopeLayout.DigestBytes : 0;
        bool extended = stateBytes + baggageBytes + digestBytes > 0;
        int length = EnvelopeLayout.FixedBytes + name.Length + keyBytes + (traced ? EnvelopeLayout.TraceBytes : 0) + (recurs
            ? EnvelopeLayout.EveryBytes : 0);
        int extensionsAt = length;
        length += stateBytes + baggageBytes + digestBytes;
        Span<byte> bytes = buffer.GetSpan(length)[..length];
        bytes[EnvelopeLayout.MagicAt] = EnvelopeLayout.Magic;
        bytes[EnvelopeLayout.VersionAt] = EnvelopeLayout.Version;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[EnvelopeLayout.FlagsAt..], (ushort)(
            (traced ? EnvelopeLayout.HasTrace : 0) | (pinned ? EnvelopeLayout.IsPinned : 0) | (tracked ? EnvelopeLayout.WantsResult
            : 0) | (recurs ? EnvelopeLayout.Recurs : 0) | (extended ? EnvelopeLayout.HasExtensions : 0)));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[EnvelopeLayout.HeaderBytesAt..], (ushort)length);
        bytes[EnvelopeLayout.NameLengthAt] = (byte)name.Length;
        bytes[EnvelopeLayout.KeyLengthAt] = (byte)keyBytes;
        header.Id.WriteTo(bytes[EnvelopeLayout.IdAt..]);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[EnvelopeLayout.EnqueuedAt..], header.EnqueuedMicroseconds);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[EnvelopeLayout.NotBeforeAt..], header.NotBeforeMicroseconds);
        ushort attempts = (ushort)Math.Min(header.AttemptsBefore, ushort.MaxValue);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[EnvelopeLayout.AttemptsAt..], attempts);
        bytes[EnvelopeLayout.FormatAt] = header.Format;
        bytes[EnvelopeLayout.ReservedAt] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[EnvelopeLayout.PayloadBytesAt..], 0);
        name.CopyTo(bytes[EnvelopeLayout.FixedBytes..]);
        if (keyBytes > 0) Encoding.UTF8.GetBytes(key, bytes[(EnvelopeLayout.FixedBytes + name.Length)..]);
        if (recurs) BinaryPrimitives.WriteInt64LittleEndian(bytes[(extensionsAt - EnvelopeLayout.EveryBytes)..],
            (long)metadata!.RepeatInterval.TotalMicroseconds);
        if (traced)
        {
            Span<byte> traceBytes = bytes[(EnvelopeLayout.FixedBytes + name.Length + keyBytes)..];
            trace.TraceId.CopyTo(traceBytes[..16]);
            trace.SpanId.CopyTo(traceBytes.Slice(16, 8));
            traceBytes[24] = (byte)trace.TraceFlags;
        }

        if (extended) WriteExtensions(bytes[extensionsAt..], state, baggage, digestBytes > 0);
        buffer.Advance(length);
    }

    private static int Extension(string? text) => text is null ? 0 : EnvelopeLayout.ExtensionHeaderBytes + Encoding.UTF8.GetByteCount(text);

    private static void WriteExtensions(Span<byte> bytes, string? state, string? baggage, bool digest)
    {
        // The digest comes first, and its value with the payload (Seal).
        if (digest)
        {
            Span<byte> later = stackalloc byte[EnvelopeLayout.DigestBytes];
            bytes = bytes[EnvelopeExtensions.Write(bytes, EnvelopeLayout.DigestKind, later)..];
        }

        if (state is not null)
            bytes = bytes[EnvelopeExtensions.Write(bytes, EnvelopeLayout.TraceStateKind, Encoding.UTF8.GetBytes(state))..];
        if (baggage is not null) EnvelopeExtensions.Write(bytes, EnvelopeLayout.BaggageKind, Encoding.UTF8.GetBytes(baggage));
    }

    /// <summary>Writes the length of the payload.</summary>
    /// <param name="message">The whole envelope, payload included.</param>
    internal static void Seal(Span<byte> message)
    {
        int header = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]);
        BinaryPrimitives.WriteUInt32LittleEndian(message[EnvelopeLayout.PayloadBytesAt..], (uint)(message.Length - header));
        if (!RecurringEnvelope.IsKeyed(message)) return;
        int at = RecurringEnvelope.ExtensionsAt(message);
        BinaryPrimitives.WriteUInt64LittleEndian(message[(at + EnvelopeLayout.ExtensionHeaderBytes)..],
            EnvelopeExtensions.Digest(message[header..]));
    }
}
