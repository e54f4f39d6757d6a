namespace Otto.Ipc.Mmap;

// Somebody took a segment's name away while it was open here: newcomers meet in another file, or in none.

/// <summary>
/// The channel's file was deleted, replaced or retired while it was open. A process that opens the channel from now on
/// does not reach this handle.
/// </summary>
/// <remarks>
/// The removal is noticed within two seconds. What was received before stays readable: receivers and workers get this
/// exception once nothing is left. Dispose the handle and open it again.
/// </remarks>
public sealed class SegmentRemovedException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which segment.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public SegmentRemovedException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
