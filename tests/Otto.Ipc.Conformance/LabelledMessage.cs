namespace Otto.Ipc.Conformance;

// Messages whose labels and results are told from who sent them, so that any process can check them.

/// <summary>Makes the labels and the result of a message.</summary>
public static class LabelledMessage
{
    /// <summary>What a worker leaves messages to others by.</summary>
    public const ulong Subject = 7;
    private const int Keys = 3;

    public static UInt128 Id(int sender, int sequence) => new((ulong)sender, (ulong)sequence + 1);

    /// <summary>One of three keys that all senders want; sender 5 has one of its own.</summary>
    public static ulong Key(int sender, int sequence) => sender == 5 ? 9 : (ulong)(sequence % Keys) + 1;

    public static MessageLabels Labels(int sender, int sequence) =>
        new() { Id = Id(sender, sequence), Key = Key(sender, sequence), KeepResult = TimeSpan.FromMinutes(10) };

    public static byte[] Result(int sender, int sequence) => Payload.Make(sender, sequence, sequence % 2 == 0 ? 20 : 3000);
}
