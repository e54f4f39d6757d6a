namespace Otto.Ipc;

// What shared bytes fail a check with. It is a contract, since every shape over shared memory may throw it.

/// <summary>Bytes that several processes share failed a check; the message says which field, what it held and what was expected.</summary>
public sealed class CorruptSegmentException : IOException
{
    /// <summary>Makes the exception without words.</summary>
    public CorruptSegmentException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which field failed, its value and what was expected.</param>
    public CorruptSegmentException(string message) : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which field failed, its value and what was expected.</param>
    /// <param name="innerException">What caused it.</param>
    public CorruptSegmentException(string message, Exception innerException) : base(message, innerException)
    {
    }
}
