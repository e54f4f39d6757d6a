namespace Otto.Ipc.Mmap.Regions;

// Two things can be too small, the region and the file system it lies on; both are told apart by the message, not by the type.

/// <summary>A value does not fit into its region, or a region into its file system; nothing was changed.</summary>
public sealed class RegionFullException : IOException
{
    /// <summary>Makes the exception without words.</summary>
    public RegionFullException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">What did not fit where, with both sizes and the way out.</param>
    public RegionFullException(string message) : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">What did not fit where, with both sizes and the way out.</param>
    /// <param name="innerException">What caused it.</param>
    public RegionFullException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">What did not fit where, with both sizes and the way out.</param>
    /// <param name="neededBytes">How many bytes were asked for.</param>
    /// <param name="availableBytes">How many there are.</param>
    public RegionFullException(string message, long neededBytes, long availableBytes) : base(message)
    {
        NeededBytes = neededBytes;
        AvailableBytes = availableBytes;
    }

    /// <summary>How many bytes were asked for.</summary>
    public long NeededBytes { get; }

    /// <summary>How many bytes there are.</summary>
    public long AvailableBytes { get; }
}
