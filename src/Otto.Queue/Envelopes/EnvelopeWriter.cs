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
        int length = EnvelopeLayout.FixedBytes + name.Length + keyBytes + (traced ? EnvelopeLayout.TraceBytes : 0) + (recurs
            ? EnvelopeLayout.EveryBytes : 0);
        Span<byte> bytes = buffer.GetSpan(length)[..length];
        bytes[EnvelopeLayout.MagicAt] = EnvelopeLayout.Magic;
        bytes[EnvelopeLayout.VersionAt] = EnvelopeLayout.Version;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[EnvelopeLayout.FlagsAt..], (ushort)(
            (traced ? EnvelopeLayout.HasTrace : 0) | (pinned ? EnvelopeLayout.IsPinned : 0) | (tracked ? EnvelopeLayout.WantsResult
            : 0) | (recurs ? EnvelopeLayout.Recurs : 0)));
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
        if (recurs) BinaryPrimitives.WriteInt64LittleEndian(bytes[(length - EnvelopeLayout.EveryBytes)..],
            (long)metadata!.RepeatInterval.TotalMicroseconds);
        if (traced)
        {
            Span<byte> traceBytes = bytes[(EnvelopeLayout.FixedBytes + name.Length + keyBytes)..];
            trace.TraceId.CopyTo(traceBytes[..16]);
            trace.SpanId.CopyTo(traceBytes.Slice(16, 8));
            traceBytes[24] = (byte)trace.TraceFlags;
        }

        buffer.Advance(length);
    }

    /// <summary>Writes the length of the payload.</summary>
    /// <param name="message">The whole envelope, payload included.</param>
    internal static void Seal(Span<byte> message)
    {
        int header = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]);
        BinaryPrimitives.WriteUInt32LittleEndian(message[EnvelopeLayout.PayloadBytesAt..], (uint)(message.Length - header));
    }
}
