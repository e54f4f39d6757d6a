using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Otto.Queue;

// What an envelope says about its task, read once into locals from bytes that another process wrote and may have written wrongly.

/// <summary>The fields of an envelope that do not point into its bytes.</summary>
internal struct EnvelopeHeader
{
    internal TaskId Id;
    internal long EnqueuedMicroseconds;
    internal long NotBeforeMicroseconds;

    /// <summary>Attempts made before this message was written; the transport counts those made since.</summary>
    internal int AttemptsBefore;

    internal byte Format;

    /// <summary>What only some tasks carry; <see langword="null"/> if there is none.</summary>
    internal TaskMetadata? Metadata;

    /// <summary>How long no worker gets the task from when it was enqueued.</summary>
    internal readonly TimeSpan Delay =>
        NotBeforeMicroseconds == 0 ? TimeSpan.Zero : TimeSpan.FromMicroseconds(NotBeforeMicroseconds - EnqueuedMicroseconds);

    /// <summary>Writes the fixed part, name and trace in front of a payload that follows.</summary>
    /// <param name="buffer">An empty buffer.</param>
    /// <param name="name">The task's name as UTF-8.</param>
    internal readonly void Write(EnvelopeBuffer buffer, ReadOnlySpan<byte> name)
    {
        ActivityContext trace = Metadata?.Trace ?? default;
        string? key = Metadata?.UniqueKey;
        bool traced = trace.TraceId != default, recurs = Metadata is { Repeats: true };
        bool pinned = Metadata is { IsPinned: true }, tracked = Metadata is { TrackResult: true };
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
        Id.WriteTo(bytes[EnvelopeLayout.IdAt..]);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[EnvelopeLayout.EnqueuedAt..], EnqueuedMicroseconds);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[EnvelopeLayout.NotBeforeAt..], NotBeforeMicroseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[EnvelopeLayout.AttemptsAt..], (ushort)Math.Min(AttemptsBefore, ushort.MaxValue));
        bytes[EnvelopeLayout.FormatAt] = Format;
        bytes[EnvelopeLayout.ReservedAt] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[EnvelopeLayout.PayloadBytesAt..], 0);
        name.CopyTo(bytes[EnvelopeLayout.FixedBytes..]);
        if (keyBytes > 0) Encoding.UTF8.GetBytes(key, bytes[(EnvelopeLayout.FixedBytes + name.Length)..]);
        if (recurs) BinaryPrimitives.WriteInt64LittleEndian(bytes[(length - EnvelopeLayout.EveryBytes)..],
            (long)Metadata!.RepeatInterval.TotalMicroseconds);
        if (traced)
        {
            Span<byte> traceBytes = bytes[(EnvelopeLayout.FixedBytes + name.Length + keyBytes)..];
            trace.TraceId.CopyTo(traceBytes[..16]);
            trace.SpanId.CopyTo(traceBytes.Slice(16, 8));
            traceBytes[24] = (byte)trace.TraceFlags;
        }

        buffer.Advance(length);
    }

    /// <summary>The key of a message that may be cut short, or anything at all; empty if it has none.</summary>
    internal static ReadOnlySpan<byte> KeyOf(ReadOnlySpan<byte> message)
    {
        if (message.Length < EnvelopeLayout.FixedBytes || message[EnvelopeLayout.MagicAt] != EnvelopeLayout.Magic) return default;
        int at = EnvelopeLayout.FixedBytes + message[EnvelopeLayout.NameLengthAt], length = message[EnvelopeLayout.KeyLengthAt];
        return at + length <= message.Length ? message.Slice(at, length) : default;
    }

    /// <summary>The id of a message that may be cut short, or anything at all.</summary>
    internal static TaskId IdOf(ReadOnlySpan<byte> message)
        => message.Length < EnvelopeLayout.FixedBytes || message[EnvelopeLayout.MagicAt] != EnvelopeLayout.Magic ? default
        : TaskId.ReadFrom(message[EnvelopeLayout.IdAt..]);

    /// <summary>Writes the length of the payload.</summary>
    /// <param name="message">The whole envelope, payload included.</param>
    internal static void Seal(Span<byte> message)
    {
        int header = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]);
        BinaryPrimitives.WriteUInt32LittleEndian(message[EnvelopeLayout.PayloadBytesAt..], (uint)(message.Length - header));
    }

    /// <summary>Reads an envelope, believing none of it.</summary>
    /// <param name="message">The message, as long as its transport says.</param>
    /// <param name="header">The fields.</param>
    /// <param name="name">The task's name, inside <paramref name="message"/>.</param>
    /// <param name="payloadAt">Where the payload starts; it reaches to the end.</param>
    /// <returns><see langword="null"/> if it is an envelope, else what is wrong with it.</returns>
    internal static string? Read(ReadOnlySpan<byte> message, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt)
    {
        header = default;
        name = default;
        payloadAt = 0;
        if (message.Length < EnvelopeLayout.FixedBytes)
            return $"envelope: {message.Length:N0} bytes are fewer than the {EnvelopeLayout.FixedBytes} of its fixed part";
        if (message[EnvelopeLayout.MagicAt] != EnvelopeLayout.Magic)
            return $"envelope: starts with 0x{message[EnvelopeLayout.MagicAt]:X2}, not 0x{EnvelopeLayout.Magic:X2}";
        if (message[EnvelopeLayout.VersionAt] != EnvelopeLayout.Version)
            return $"envelope: version {message[EnvelopeLayout.VersionAt]}, this worker reads {EnvelopeLayout.Version}";
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.FlagsAt..]);
        if ((flags & ~EnvelopeLayout.KnownFlags) != 0)
            return $"envelope: flags 0x{flags:X4}, this worker knows 0x{EnvelopeLayout.KnownFlags:X4}";

        int nameBytes = message[EnvelopeLayout.NameLengthAt];
        int keyBytes = message[EnvelopeLayout.KeyLengthAt];
        int headerBytes = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]);
        int traceBytes = (flags & EnvelopeLayout.HasTrace) != 0 ? EnvelopeLayout.TraceBytes : 0;
        int everyBytes = (flags & EnvelopeLayout.Recurs) != 0 ? EnvelopeLayout.EveryBytes : 0;
        int expected = EnvelopeLayout.FixedBytes + nameBytes + keyBytes + traceBytes + everyBytes;
        if (headerBytes != expected) return $"envelope: header of {headerBytes} bytes, its parts make {expected}";
        if (headerBytes > message.Length) return $"envelope: header of {headerBytes} bytes in a message of {message.Length:N0}";
        if (nameBytes is 0 or > EnvelopeLayout.MaxNameBytes)
            return $"envelope: name of {nameBytes} bytes, 1 to {EnvelopeLayout.MaxNameBytes} expected";
        uint payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(message[EnvelopeLayout.PayloadBytesAt..]);
        if (payloadBytes != (uint)(message.Length - headerBytes))
            return $"envelope: payload of {payloadBytes:N0} bytes stated, {message.Length - headerBytes:N0} present";

        header.Id = TaskId.ReadFrom(message[EnvelopeLayout.IdAt..]);
        header.EnqueuedMicroseconds = BinaryPrimitives.ReadInt64LittleEndian(message[EnvelopeLayout.EnqueuedAt..]);
        header.NotBeforeMicroseconds = BinaryPrimitives.ReadInt64LittleEndian(message[EnvelopeLayout.NotBeforeAt..]);
        header.AttemptsBefore = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.AttemptsAt..]);
        header.Format = message[EnvelopeLayout.FormatAt];
        TimeSpan repeatInterval = default;
        if (everyBytes != 0)
        {
            long every = BinaryPrimitives.ReadInt64LittleEndian(message[(headerBytes - EnvelopeLayout.EveryBytes)..]);
            if (every <= 0 || every > (long)Otto.Ipc.WorkQueue.MaxDelay.TotalMicroseconds) return $"envelope: recurs every {every:N0} µs";
            repeatInterval = TimeSpan.FromMicroseconds(every);
        }

        name = message.Slice(EnvelopeLayout.FixedBytes, nameBytes);
        if (flags != 0 || keyBytes != 0)
        {
            header.Metadata = new TaskMetadata
            {
                UniqueKey = keyBytes == 0 ? null : Encoding.UTF8.GetString(message.Slice(EnvelopeLayout.FixedBytes + nameBytes, keyBytes)),
                RepeatInterval = repeatInterval,
                TrackResult = (flags & EnvelopeLayout.WantsResult) != 0,
                IsPinned = (flags & EnvelopeLayout.IsPinned) != 0,
                Trace = traceBytes == 0 ? default
                : ReadTrace(message.Slice(headerBytes - everyBytes - EnvelopeLayout.TraceBytes, EnvelopeLayout.TraceBytes)),
            };
        }

        payloadAt = headerBytes;
        return null;
    }

    private static ActivityContext ReadTrace(ReadOnlySpan<byte> bytes) => new(
        ActivityTraceId.CreateFromBytes(bytes[..16]), ActivitySpanId.CreateFromBytes(bytes.Slice(16, 8)), (ActivityTraceFlags)bytes[24],
        isRemote: true);
}
