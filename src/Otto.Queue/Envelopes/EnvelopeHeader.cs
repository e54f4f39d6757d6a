namespace Otto.Queue;

// What an envelope says about its task, and where its bytes are, on every route that leaves the process. Agrees with docs/envelope.md,
// whose golden bytes a test compares.
//
//  00   01   02      04       06     07    08        18            20           28         2A       2B   2C        30
//  +----+----+-------+--------+------+-----+---------+-------------+------------+----------+--------+----+---------+----------- - -
//  |'O' | 1  | flags | header | name | key | id      | enqueued at | not before | attempts | format | 0  | payload | name, key,
//  |    |    |       | bytes  | len  | len | (16)    | (µs, Unix)  | (µs or 0)  |          |        |    | bytes   | trace, payload
//  +----+----+-------+--------+------+-----+---------+-------------+------------+----------+--------+----+---------+----------- - -
//  After the name: key, trace, interval, extensions (EnvelopeExtensions.cs), payload, each where its length or flag says so.
//  Little-endian but for the id, which is big-endian. A message is published whole by its transport, never by these bytes.

/// <summary>The fields of an envelope that do not point into its bytes.</summary>
internal struct EnvelopeHeader
{
    internal TaskId Id;
    internal long EnqueuedMicroseconds;
    internal long NotBeforeMicroseconds;

    /// <summary>The time of day that was asked for, in microseconds; 0 for none. Not written.</summary>
    internal long TimeOfDay;

    /// <summary>Attempts made before this message was written; the transport counts those made since.</summary>
    internal int AttemptsBefore;

    internal byte Format;

    /// <summary>What only some tasks carry; <see langword="null"/> if there is none.</summary>
    internal TaskMetadata? Metadata;

    /// <summary>How long no worker gets the task from when it was enqueued.</summary>
    internal readonly TimeSpan Delay =>
        NotBeforeMicroseconds == 0 ? TimeSpan.Zero : TimeSpan.FromMicroseconds(NotBeforeMicroseconds - EnqueuedMicroseconds);
}

/// <summary>The places and values of an envelope's bytes.</summary>
internal static class EnvelopeLayout
{
    internal const byte Magic = (byte)'O';
    internal const byte Version = 1;

    internal const int MagicAt = 0x00;
    internal const int VersionAt = 0x01;
    internal const int FlagsAt = 0x02;
    internal const int HeaderBytesAt = 0x04;
    internal const int NameLengthAt = 0x06;
    internal const int KeyLengthAt = 0x07;
    internal const int IdAt = 0x08;
    internal const int EnqueuedAt = IdAt + TaskId.Size;
    internal const int NotBeforeAt = EnqueuedAt + sizeof(long);
    internal const int AttemptsAt = NotBeforeAt + sizeof(long);
    internal const int FormatAt = AttemptsAt + sizeof(ushort);
    internal const int ReservedAt = FormatAt + sizeof(byte);
    internal const int PayloadBytesAt = ReservedAt + sizeof(byte);
    internal const int FixedBytes = PayloadBytesAt + sizeof(uint);

    /// <summary>A trace follows name and key: trace id (16), span id (8), trace flags (1), as in the W3C header
    /// but binary.</summary>
    internal const ushort HasTrace = 1;

    /// <summary>The task was pinned to its route, and is not moved on to another.</summary>
    internal const ushort IsPinned = 2;

    /// <summary>Its producer waits for the result.</summary>
    internal const ushort WantsResult = 4;

    /// <summary>The task recurs: how long after each end, in microseconds, follows the trace.</summary>
    internal const ushort Recurs = 8;

    /// <summary>Extensions follow the interval, up to the header's end: kind (u8), length (u16), bytes. A reader steps
    /// over kinds that it does not know.</summary>
    internal const ushort HasExtensions = 0x100;

    /// <summary>The flags that say what a reader must understand. One that knows none of the others can run the task
    /// all the same.</summary>
    internal const ushort RequiredFlags = 0xFF;

    internal const ushort KnownRequiredFlags = HasTrace | IsPinned | WantsResult | Recurs;

    /// <summary>Kinds of extensions: the W3C headers <c>tracestate</c> and <c>baggage</c>, and the FNV-1a hash of
    /// the payload.</summary>
    internal const byte TraceStateKind = 1;
    internal const byte BaggageKind = 2;
    internal const byte DigestKind = 3;
    internal const int ExtensionHeaderBytes = 3;
    internal const int DigestBytes = 8;

    internal const int EveryBytes = sizeof(long);
    internal const int TraceBytes = 16 + 8 + 1;
    internal const int MaxNameBytes = 100;
}
