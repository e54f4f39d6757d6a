namespace Otto.Ipc.Uds.Protocol;

// The first word of every error, the same in both dialects: what a program decides by. The words behind it are for people.

internal static class ErrorCode
{
    public const string BadCommand = "BADCMD", BadKey = "BADKEY", BadJson = "BADJSON", TooBig = "TOOBIG", Denied = "DENIED", Slow = "SLOW",
        Busy = "BUSY";
}

/// <summary>Why an answer may not wait for its reader now, and what to do about it.</summary>
internal static class BusyReason
{
    public static string Value(int bytes) => $"a value of {bytes:N0} bytes is more than may wait beside all else; ask again";

    public static string Keys(int count) => $"{count:N0} keys are more than may wait beside all else; use a narrower pattern";
}
