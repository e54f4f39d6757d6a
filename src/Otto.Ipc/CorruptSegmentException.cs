namespace Otto.Ipc;

// What shared bytes fail a check with. It is a contract, since every shape over shared memory may throw it.

/// <summary>
/// Bytes that several processes share failed a check. The message names the field, its value and the expected value.
/// </summary>
public sealed class CorruptSegmentException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which field failed, its value and what was expected.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public CorruptSegmentException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
