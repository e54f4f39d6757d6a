using System.Globalization;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// Which lane a new sender gets: one whose last sender left or died without completing it, so that a successor ends what its predecessor
// began; else the lowest that nobody has.

internal static class SenderLane
{
    /// <summary>Takes a lane that has no live sender.</summary>
    /// <returns>The lane and its lock, held.</returns>
    /// <exception cref="IOException">All have one.</exception>
    public static (LaneFiles Lane, LockFile Lock) Take(string lanes, int most)
    {
        foreach (bool successor in (bool[])[true, false])
        {
            for (int i = 0; i < most; i++)
            {
                var lane = new LaneFiles(Path.Combine(lanes, i.ToString(CultureInfo.InvariantCulture)));
                bool exists = Libc.Status(lane.Directory) is not null;
                if (successor && (!exists || lane.IsCompleted)) continue;
                RootDirectory.Ensure(lane.Directory);
                LockFile held = new LockFile(lane.Lock);
                try
                {
                    if (held.TryAcquire())
                    {
                        // It was completed meanwhile: not a successor's, and its turn comes below.
                        if (!successor || !lane.IsCompleted) return (lane, held);
                    }
                }
                catch
                {
                    held.Dispose();
                    throw;
                }

                held.Dispose();
            }
        }

        throw new IOException(most == 1
            ? $"{lanes} has a sender already, and it is alive; dispose it first, or create the stream with a higher MaxSenders"
            : $"{lanes} has {most:N0} live senders, which is its limit; dispose one, or create the stream with a higher MaxSenders");
    }
}
