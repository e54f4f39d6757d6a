using System.Globalization;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// All that a queue knows of a message beside its bytes stands in its file's name, so that one rename changes it whole.
//
//  ready/1763700000123-000000000042-1.json
//        |             |            attempt: which one the next delivery is, from 1
//        |             which message: from the queue's sequence; a script may use nanoseconds since 1970
//        since when it is ready, milliseconds since 1970: the order in which messages are taken
//
//  delayed/1763700060123-000000000043-1-86460123-1b2c3d4e.json
//          |                            |        the boot that the milliseconds belong to
//          |                            when it is due, milliseconds since the machine started
//          when it is due, for people, and after a restart of the machine

/// <summary>A message of a queue.</summary>
internal readonly record struct MessageName(long Time, long Id, int Attempt) : IComparable<MessageName>
{
    public const string Extension = ".json";

    /// <summary>Numbers from here on are not the sequence's: a script made them from the time.</summary>
    public const long FirstForeignId = 1_000_000_000_000_000;

    public static bool TryParse(ReadOnlySpan<char> file, out MessageName name) =>
        TryParse(file, out name, out ReadOnlySpan<char> rest) && rest.IsEmpty;

    public int CompareTo(MessageName other) => Time != other.Time ? Time.CompareTo(other.Time) : Id.CompareTo(other.Id);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Time:D13}-{Id:D12}-{Attempt}{Extension}");

    /// <summary>Takes the three numbers off the front.</summary>
    /// <param name="file">The file's name.</param>
    /// <param name="name">The numbers.</param>
    /// <param name="rest">What follows them, without the extension.</param>
    internal static bool TryParse(ReadOnlySpan<char> file, out MessageName name, out ReadOnlySpan<char> rest)
    {
        name = default;
        rest = default;
        if (!file.EndsWith(Extension, StringComparison.Ordinal)) return false;
        rest = file[..^Extension.Length];
        if (!TryTake(ref rest, out long time) || !TryTake(ref rest, out long id) || !TryTake(ref rest, out long attempt)
            || attempt is < 1 or > 255) return false;
        name = new MessageName(time, id, (int)attempt);
        return true;
    }

    internal static bool TryTake(ref ReadOnlySpan<char> text, out long number)
    {
        int end = text.IndexOf('-');
        ReadOnlySpan<char> part = end < 0 ? text : text[..end];
        text = end < 0 ? default : text[(end + 1)..];
        return long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}

/// <summary>A message whose time has not come.</summary>
internal readonly record struct DelayedName(MessageName Message, long Due, string Boot)
{
    private static readonly Lazy<string> ThisBoot = new(static () => ProcessIdentity.BootId.ToString()[..8]);

    /// <summary>The name of a message that is due in a while.</summary>
    public static DelayedName In(TimeSpan delay, long id, int attempt) => new(
        new MessageName(QueueTime.UnixMilliseconds + (long)Math.Ceiling(delay.TotalMilliseconds), id, attempt),
        QueueTime.MachineMilliseconds(delay),
        ThisBoot.Value);

    /// <summary>How long until it is due; zero or less once it is.</summary>
    public TimeSpan IsDueIn =>
        Boot == ThisBoot.Value ? QueueTime.Until(Due) : TimeSpan.FromMilliseconds(Message.Time - QueueTime.UnixMilliseconds);

    public static bool TryParse(ReadOnlySpan<char> file, out DelayedName name)
    {
        name = default;
        if (!MessageName.TryParse(file, out MessageName message, out ReadOnlySpan<char> rest)
            || !MessageName.TryTake(ref rest, out long due) || rest.IsEmpty) return false;
        name = new DelayedName(message, due, rest.ToString());
        return true;
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{Message.Time:D13}-{Message.Id:D12}-{Message.Attempt}-{Due}-{Boot}{MessageName.Extension}");
}
