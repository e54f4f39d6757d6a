namespace Otto.Ipc.Mmap.Regions;

// Two things can be too small, the region and the file system it lies on; both are told apart by the message, not by the type.

/// <summary>A value does not fit into its region, or a region into its file system; nothing was changed.</summary>
public sealed class RegionFullException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What did not fit where, with both sizes and the way out.</param>
    /// <param name="neededBytes">How many bytes were asked for; 0 if it is not known.</param>
    /// <param name="availableBytes">How many bytes there are; 0 if it is not known.</param>
    public RegionFullException(string message, long neededBytes = 0, long availableBytes = 0)
        : base(message)
    {
        NeededBytes = neededBytes;
        AvailableBytes = availableBytes;
    }

    /// <summary>How many bytes were asked for.</summary>
    public long NeededBytes { get; }

    /// <summary>How many bytes there are.</summary>
    public long AvailableBytes { get; }
}
