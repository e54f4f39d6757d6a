using System.Text;
using Otto.Ipc;

namespace Otto.Queue.Testing;

// One message in memory: its bytes, when it is due, and who waits for its attempt to end.

internal sealed class MemoryMessage
{
    internal MemoryMessage(long number, byte[] bytes, string? key, TimeSpan due)
    {
        Number = number;
        Bytes = bytes;
        Key = key;
        Due = due;
        Readable = EnvelopeReader.Read(bytes, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt) is null;
        Id = header.Id;
        AttemptsBefore = header.AttemptsBefore;
        Name = Encoding.UTF8.GetString(name);
        PayloadAt = payloadAt;
    }

    internal long Number { get; set; }

    internal byte[] Bytes { get; }

    internal string? Key { get; }

    internal bool Readable { get; }

    internal TaskId Id { get; }

    internal string Name { get; }

    internal int AttemptsBefore { get; }

    internal int PayloadAt { get; }

    internal TimeSpan Due { get; set; }

    internal int Attempts { get; set; }

    internal bool Offered { get; set; }

    internal bool Leased { get; set; }

    /// <summary>Whether it ends with the run that it is in.</summary>
    internal bool CancelRequested { get; set; }

    internal string? DeadBecause { get; set; }

    internal DeadLetterId Letter => DeadLetterId.FromToken(new SlotToken(Number, 0));
}
