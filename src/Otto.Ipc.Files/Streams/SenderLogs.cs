using System.Globalization;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// Which lane a new sender gets: one whose last sender left or died without completing it, so that a successor ends what its predecessor
// began; else the lowest that nobody has.

internal static class SenderLogs
{
    /// <summary>Takes a lane that has no live sender.</summary>
    /// <returns>The lane and its lock, held.</returns>
    /// <exception cref="IOException">All have one.</exception>
    public static (SenderLogFiles Lane, LockFile Lock) Take(string lanes, int most)
    {
        foreach (bool successor in (bool[])[true, false])
        {
            for (int i = 0; i < most; i++)
            {
                SenderLogFiles log = new SenderLogFiles(Path.Combine(lanes, i.ToString(CultureInfo.InvariantCulture)));
                bool exists = PrivateFiles.Status(log.Directory) is not null;
                if (successor && (!exists || log.IsCompleted)) continue;
                RootDirectory.Ensure(log.Directory);
                LockFile held = new LockFile(log.Lock);
                try
                {
                    if (held.TryAcquire())
                    {
                        // It was completed meanwhile: not a successor's, and its turn comes below.
                        if (!successor || !log.IsCompleted) return (log, held);
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
