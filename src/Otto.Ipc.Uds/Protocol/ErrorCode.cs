namespace Otto.Ipc.Uds.Protocol;

// The first word of every error, the same in both dialects: what a program decides by. The words behind it are for people.

internal static class ErrorCode
{
    public const string BadCommand = "BADCMD", BadKey = "BADKEY", BadJson = "BADJSON", TooBig = "TOOBIG", Denied = "DENIED", Slow = "SLOW", Busy = "BUSY";
}
