namespace Otto.Ipc.Mmap;

// A segment that is whole, but not the one that was asked for.

/// <summary>
/// A segment exists and is intact, but of another version, shape or size than was asked for; nothing was changed.
/// </summary>
public sealed class SegmentMismatchException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What differs, with both values.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public SegmentMismatchException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
