namespace Otto.Ipc.Uds.Protocol;

/// <summary>The kind of an event, with its number in the binary protocol.</summary>
internal enum EventKind : byte
{
    /// <summary>A key has a new value.</summary>
    Set = 1,

    /// <summary>A key is gone.</summary>
    Delete = 2,

    /// <summary>A message of a topic.</summary>
    Message = 3,

    /// <summary>Messages were lost; the value is how many, as u64.</summary>
    Lost = 4,
}

/// <summary>
/// The kinds of events that a subscription receives. These are the flags of the binary protocol's WATCH.
/// </summary>
[Flags]
internal enum Interests : byte
{
    None = 0,

    /// <summary>The values of now come first.</summary>
    Snapshot = 1,

    /// <summary>Keys that are set or deleted.</summary>
    Keys = 2,

    /// <summary>Messages of topics.</summary>
    Messages = 4,
}
