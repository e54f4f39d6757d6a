namespace Otto.Ipc.Uds.Protocol;

// Numbers of the binary dialect. docs/protocol.md is the specification; a test runs its examples against the server.
//
//  request    0        4         5
//             +--------+---------+------- - -
//             | length | command | payload        length: u32, little-endian, of what follows it; under 2^24
//             +--------+---------+------- - -
//  response   +--------+---------+------- - -
//             | length | status  | payload
//             +--------+---------+------- - -

/// <summary>The commands of the binary dialect.</summary>
internal enum WireCommand : byte
{
    Set = 0x01,
    Get = 0x02,
    Delete = 0x03,
    List = 0x04,
    Subscribe = 0x05,
    Publish = 0x06,
    Ping = 0x07,
    Unsubscribe = 0x08,
    Exists = 0x09,
    Progress = 0x0A,
    Hello = 0x0B,
    Quit = 0x0C,
    Watch = 0x0D,
}

/// <summary>How the binary dialect answers.</summary>
internal enum WireStatus : byte
{
    Ok = 0x00,
    Error = 0x01,
    NotFound = 0x02,
    Event = 0x10,
}

/// <summary>Sizes of the binary dialect.</summary>
internal static class Wire
{
    public const int LengthBytes = 4;

    /// <summary>Length and command, or length and status.</summary>
    public const int HeaderBytes = 5;

    /// <summary>What an event has before its key: header, sequence, kind, key length.</summary>
    public const int EventBytes = HeaderBytes + 8 + 1 + 2;

    /// <summary>The first length that no frame has: with it the fourth byte would not be
    /// zero, by which a text client is known.</summary>
    public const int LengthLimit = 1 << 24;

    /// <summary>What a command may have besides its value.</summary>
    public const int CommandBytes = 1024;
}
