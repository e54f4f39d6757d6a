using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace Otto.Queue;

// Reads envelopes that another process wrote and may have written wrongly: each field once, into locals. EnvelopeHeader.cs has the layout.

internal static class EnvelopeReader
{
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
        if ((flags & EnvelopeLayout.RequiredFlags & ~EnvelopeLayout.KnownRequiredFlags) != 0)
            return $"envelope: flags 0x{flags:X4}, this worker knows 0x{EnvelopeLayout.KnownRequiredFlags:X4}";

        int nameBytes = message[EnvelopeLayout.NameLengthAt];
        int keyBytes = message[EnvelopeLayout.KeyLengthAt];
        int headerBytes = BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.HeaderBytesAt..]);
        int traceBytes = (flags & EnvelopeLayout.HasTrace) != 0 ? EnvelopeLayout.TraceBytes : 0;
        int everyBytes = (flags & EnvelopeLayout.Recurs) != 0 ? EnvelopeLayout.EveryBytes : 0;
        int expected = EnvelopeLayout.FixedBytes + nameBytes + keyBytes + traceBytes + everyBytes;
        // What follows the known parts is stepped over.
        if (headerBytes < expected || (headerBytes > expected && flags <= EnvelopeLayout.RequiredFlags))
            return $"envelope: header of {headerBytes} bytes, its parts make {expected}";
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
            long every = BinaryPrimitives.ReadInt64LittleEndian(message[(expected - EnvelopeLayout.EveryBytes)..]);
            if (every <= 0 || every > (long)Otto.Ipc.WorkQueue.MaxDelay.TotalMicroseconds) return $"envelope: recurs every {every:N0} µs";
            repeatInterval = TimeSpan.FromMicroseconds(every);
        }

        name = message.Slice(EnvelopeLayout.FixedBytes, nameBytes);
        if (flags != 0 || keyBytes != 0)
        {
            ReadOnlySpan<byte> extensions = (flags & EnvelopeLayout.HasExtensions) != 0 ? message[expected..headerBytes] : default;
            string? state = EnvelopeExtensions.TryFind(extensions, EnvelopeLayout.TraceStateKind, out ReadOnlySpan<byte> stateBytes)
                ? Encoding.UTF8.GetString(stateBytes) : null;
            header.Metadata = new TaskMetadata
            {
                UniqueKey = keyBytes == 0 ? null : Encoding.UTF8.GetString(message.Slice(EnvelopeLayout.FixedBytes + nameBytes, keyBytes)),
                RepeatInterval = repeatInterval,
                TrackResult = (flags & EnvelopeLayout.WantsResult) != 0,
                IsPinned = (flags & EnvelopeLayout.IsPinned) != 0,
                Trace = traceBytes == 0 ? default
                : ReadTrace(message.Slice(expected - everyBytes - EnvelopeLayout.TraceBytes, EnvelopeLayout.TraceBytes), state),
                Baggage = EnvelopeExtensions.TryFind(extensions, EnvelopeLayout.BaggageKind, out ReadOnlySpan<byte> baggage)
                    ? Encoding.UTF8.GetString(baggage) : null,
            };
        }

        payloadAt = headerBytes;
        return null;
    }

    private static ActivityContext ReadTrace(ReadOnlySpan<byte> bytes, string? state) => new(
        ActivityTraceId.CreateFromBytes(bytes[..16]), ActivitySpanId.CreateFromBytes(bytes.Slice(16, 8)), (ActivityTraceFlags)bytes[24],
        state, isRemote: true);

    /// <summary>Whether a message that may be cut short, or anything at all, has the fixed
    /// part of an envelope.</summary>
    internal static bool IsEnvelope(ReadOnlySpan<byte> message) =>
        message.Length >= EnvelopeLayout.FixedBytes && message[EnvelopeLayout.MagicAt] == EnvelopeLayout.Magic;

    /// <summary>Whether a message was written by a newer version of the format, which a newer worker reads.</summary>
    internal static bool IsNewer(ReadOnlySpan<byte> message) =>
        IsEnvelope(message)
        && (message[EnvelopeLayout.VersionAt] > EnvelopeLayout.Version
            || (message[EnvelopeLayout.FlagsAt] & ~EnvelopeLayout.KnownRequiredFlags) != 0);

    /// <summary>The key of a message that may be cut short, or anything at all; empty if it has none.</summary>
    internal static ReadOnlySpan<byte> KeyOf(ReadOnlySpan<byte> message)
    {
        if (!IsEnvelope(message)) return default;
        int at = EnvelopeLayout.FixedBytes + message[EnvelopeLayout.NameLengthAt], length = message[EnvelopeLayout.KeyLengthAt];
        return at + length <= message.Length ? message.Slice(at, length) : default;
    }

    /// <summary>The task's name in a message that may be cut short, or anything at all; empty if it has none.</summary>
    internal static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> message)
    {
        if (!IsEnvelope(message)) return default;
        int length = message[EnvelopeLayout.NameLengthAt];
        return EnvelopeLayout.FixedBytes + length <= message.Length ? message.Slice(EnvelopeLayout.FixedBytes, length) : default;
    }

    /// <summary>Whether a producer asked for the result of a message that may be cut short,
    /// or anything at all.</summary>
    internal static bool WantsResult(ReadOnlySpan<byte> message) =>
        IsEnvelope(message)
        && (BinaryPrimitives.ReadUInt16LittleEndian(message[EnvelopeLayout.FlagsAt..]) & EnvelopeLayout.WantsResult) != 0;

    /// <summary>The id of a message that may be cut short, or anything at all.</summary>
    internal static TaskId IdOf(ReadOnlySpan<byte> message)
        => !IsEnvelope(message) ? default : TaskId.ReadFrom(message[EnvelopeLayout.IdAt..]);
}
