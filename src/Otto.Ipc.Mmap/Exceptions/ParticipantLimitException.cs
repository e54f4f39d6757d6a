namespace Otto.Ipc.Mmap;

// A full table of participants is different from other failures to open: the next process that ends makes room.

/// <summary>
/// As many handles have a segment open as it allows. It can be opened once one of them is disposed, or its process has
/// ended.
/// </summary>
public sealed class ParticipantLimitException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">How many there are, and the option that sets how many there may be.</param>
    public ParticipantLimitException(string message)
        : base(message)
    {
    }
}
