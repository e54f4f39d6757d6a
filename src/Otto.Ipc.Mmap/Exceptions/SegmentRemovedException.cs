namespace Otto.Ipc.Mmap;

// Somebody took a segment's name away while it was open here: newcomers meet in another file, or in none.

/// <summary>
/// The channel's file was deleted, replaced or retired while it was open: nobody who comes from now on will meet this
/// handle.
/// </summary>
/// <remarks>
/// Noticed within two seconds. What was received before stays readable: receivers and workers are told once nothing is
/// left. Dispose the handle and open it anew.
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
