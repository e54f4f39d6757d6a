using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

// Two roles in a stream, each a byte far beyond the end of the stream's file: the system drops the lock on
// it with the process that holds it.

/// <summary>The locks by which the ends of one stream know of each other.</summary>
internal readonly struct StreamLocks(SafeFileHandle file)
{
    private const long EndsByte = 1L << 40, ReceiverByte = EndsByte + 1;

    /// <summary>Whether a receiver has the stream open; an error counts as one.</summary>
    public bool HasReceiver => !RangeLocks.IsFree(file, ReceiverByte);

    /// <summary>Becomes the only end.</summary>
    /// <returns><see langword="false"/> if there are others.</returns>
    public bool TryBeAlone() => RangeLocks.TryWrite(file, EndsByte);

    /// <summary>Becomes one of the ends; one that was alone lets others in.</summary>
    /// <returns><see langword="false"/> if one is alone.</returns>
    public bool TryJoin() => RangeLocks.TryRead(file, EndsByte);

    /// <summary>Becomes the receiver.</summary>
    /// <returns><see langword="false"/> if another is.</returns>
    public bool TryBeReceiver() => RangeLocks.TryWrite(file, ReceiverByte);

    /// <summary>Gives up both roles.</summary>
    public void Leave()
    {
        RangeLocks.Release(file, ReceiverByte);
        RangeLocks.Release(file, EndsByte);
    }
}
