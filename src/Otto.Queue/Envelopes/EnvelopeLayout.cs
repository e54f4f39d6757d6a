namespace Otto.Queue;

// The bytes around a task on every route that leaves the process. Agrees with docs/envelope.md, whose golden bytes a test compares.
//
//  0    1    2         4         6      7      8                18               20               28     2A     2B     2C         30
//  +----+----+---------+---------+------+------+----------------+----------------+----------------+------+------+------+----------+- - - -
// |'O' | 1 | flags | header | name | key | id (16, | enqueued at | not before | at- | for- | 0 | payload | name, key,
// | | | | bytes | len | len | big-endian) | (µs, Unix) | (µs, 0 = now) | tempt| mat | | bytes | trace, payload
//  +----+----+---------+---------+------+------+----------------+----------------+----------------+------+------+------+----------+- - - -
//  Little-endian but for the id. A message is published whole by its transport, never by these bytes.

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

    internal const ushort KnownFlags = HasTrace | IsPinned | WantsResult | Recurs;
    internal const int EveryBytes = sizeof(long);
    internal const int TraceBytes = 16 + 8 + 1;
    internal const int MaxNameBytes = 100;
    internal const int MaxHeaderBytes = FixedBytes + byte.MaxValue + byte.MaxValue + TraceBytes + EveryBytes;
}
