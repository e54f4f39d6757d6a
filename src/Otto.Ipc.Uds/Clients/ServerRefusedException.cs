namespace Otto.Ipc.Uds;

/// <summary>The server answered with an error: it is full, busy, or something exceeds its limits.</summary>
public sealed class ServerRefusedException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="code">The error's code, such as <c>TOOBIG</c>; <c>docs/protocol.md</c> lists them.</param>
    /// <param name="message">The server's words.</param>
    public ServerRefusedException(string code, string message)
        : base(message) => Code = code;

    /// <summary>The error's code, such as <c>TOOBIG</c>.</summary>
    public string Code { get; }
}
