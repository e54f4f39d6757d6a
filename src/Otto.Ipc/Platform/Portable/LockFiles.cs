namespace Otto.Ipc.Platform.Portable;

// Locks that need nothing but files: a file for each lock, opened shared or alone. .NET turns that into flock on Unix and into a share mode
// on Windows, and the system drops both with their holder, however it ended. There is no way to ask who holds a lock, so a probe takes it
// for a moment: a holder that meets a probe is refused, and tries again as it does after meeting another holder.

/// <summary>One holder's locks. A second holder in the same process is another: its locks and the first one's
/// conflict.</summary>
internal sealed class LockFiles(string prefix) : IDisposable
{
    private const string Extension = ".lock-";

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Held> _held = [];
    private readonly HashSet<long> _taken = [];

    /// <summary>Takes a lock exclusively; one that this holder has shared becomes exclusive.</summary>
    /// <returns><see langword="false"/> if another has it in any way.</returns>
    public bool TryWrite(long number) => TryHold(number, exclusive: true);

    /// <summary>Takes a lock shared; one that this holder has exclusively becomes shared.</summary>
    /// <returns><see langword="false"/> if another has it exclusively.</returns>
    public bool TryRead(long number) => TryHold(number, exclusive: false);

    /// <summary>Drops a lock.</summary>
    public void Release(long number)
    {
        lock (_lock)
        {
            if (_held.Remove(number, out Held held)) held.File.Dispose();
        }
    }

    /// <summary>Whether another holder has the lock in no way. Takes it for a moment. An error counts as held, and so
    /// does a lock that this holder shares, since who else does cannot be known.</summary>
    public bool IsFree(long number)
    {
        lock (_lock)
        {
            // Without a file it was never held: a lock's file is made by its first holder.
            return _held.TryGetValue(number, out Held held) ? held.Exclusive
                : !File.Exists(PathOf(number)) || CanOpen(number, exclusive: true);
        }
    }

    /// <summary>Whether another holder has the lock exclusively. Takes it for a moment, shared: probes do not meet each
    /// other. An error counts as held, and so does a missing file: only a lock that was taken before is asked for, and
    /// its file may have been deleted while its holder lives.</summary>
    public bool IsHeldForWriting(long number)
    {
        lock (_lock)
        {
            return !_held.ContainsKey(number) && !CanOpen(number, exclusive: false);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (Held held in _held.Values) held.File.Dispose();
            _held.Clear();
        }
    }

    private bool TryHold(long number, bool exclusive)
    {
        lock (_lock)
        {
            if (_held.TryGetValue(number, out Held held))
            {
                if (held.Exclusive == exclusive) return true;
                // flock cannot be asked through .NET to change: dropped, then taken anew. Another may come in between.
                held.File.Dispose();
                _held.Remove(number);
                if (TryOpen(number, exclusive, FileMode.OpenOrCreate) is { } changed)
                {
                    _held[number] = new Held(changed, exclusive);
                    return true;
                }

                if (TryOpen(number, held.Exclusive, FileMode.OpenOrCreate) is { } again) _held[number] = held with { File = again };
                return false;
            }

            if (TryOpen(number, exclusive, FileMode.OpenOrCreate) is not { } file) return false;
            _taken.Add(number);
            _held[number] = new Held(file, exclusive);
            return true;
        }
    }

    private bool CanOpen(long number, bool exclusive)
    {
        using FileStream? file = TryOpen(number, exclusive, FileMode.Open);
        return file is not null;
    }

    private FileStream? TryOpen(long number, bool exclusive, FileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = mode,
            Access = exclusive ? FileAccess.ReadWrite : FileAccess.Read,
            Share = exclusive ? FileShare.None : FileShare.Read,
            BufferSize = 0,
        };
        if (mode != FileMode.Open && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        try
        {
            return new FileStream(PathOf(number), options);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Drops the locks, and removes the files of those that this holder ever had. For a segment that no
    /// process can reach by its name: a holder that opens such a file anew would not meet
    /// one that has the old one.</summary>
    public void Discard()
    {
        Dispose();
        lock (_lock)
        {
            foreach (long number in _taken) File.Delete(PathOf(number));
            _taken.Clear();
        }
    }

    public static bool IsLockFile(string path) => Path.GetExtension(path).StartsWith(Extension, StringComparison.Ordinal);

    private string PathOf(long number) => $"{prefix}{Extension}{number:x}";

    private readonly record struct Held(FileStream File, bool Exclusive);
}
