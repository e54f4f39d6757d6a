using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// A handle's own directory. It comes into sight with its lock held, by a rename, and whoever can take the lock later has proof that its
// owner is gone: a kill, a crash and a power failure all look the same.

internal sealed class WorkerDirectory : IDisposable
{
    private const int MostAttempts = 100;
    private const string LockName = "lock", WorksName = "works", New = ".new", Reserved = ".reserved";

    private readonly LockFile _lock;
    private readonly ulong _inode;
    private long _files;

    private WorkerDirectory(string path, LockFile held)
    {
        DirectoryPath = path;
        _lock = held;
        _inode = PrivateFiles.Status(held.File).Inode;
    }

    public string DirectoryPath { get; }

    /// <summary>Makes a directory for this handle.</summary>
    public static WorkerDirectory Create(QueueFiles files)
    {
        for (int attempt = 0; attempt < MostAttempts; attempt++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}-{RandomNumber.Hex(8)}");
            string hidden = Path.Combine(files.Leased, "." + name), path = Path.Combine(files.Leased, name);
            LockFile held = new LockFile(Path.Combine(hidden, LockName));
            try
            {
                RootDirectory.Ensure(hidden);
                // A sweeper may take it for a dead one's until the lock is held, and remove it; then another is made.
                if (held.TryAcquire() && PrivateFile.Move(hidden, path)) return new WorkerDirectory(path, held);
            }
            catch (DirectoryNotFoundException)
            {
            }
            catch
            {
                held.Dispose();
                throw;
            }

            held.Dispose();
        }

        throw new IOException(
            $"no directory could be created in {files.Leased}: {MostAttempts} were removed while they were being created");
    }

    /// <summary>Whether it is still there with its lock; a person may have removed it.</summary>
    public bool IsThere => PrivateFiles.Status(Path.Combine(DirectoryPath, LockName)) is { } named && named.Inode == _inode;

    public string PathOf(MessageName name) => Path.Combine(DirectoryPath, name.ToString());

    /// <summary>A name for a file that is being written.</summary>
    public string NewPath() => Unique(New);

    /// <summary>A name for a file that keeps room for a message.</summary>
    public string ReservedPath() => Unique(Reserved);

    /// <summary>Records whether this worker takes work.</summary>
    public void SetTakesWork(bool works)
    {
        string path = Path.Combine(DirectoryPath, WorksName);
        if (works) PrivateFile.OpenOrCreate(path).Dispose();
        else PrivateFile.Remove(path);
    }

    /// <summary>Leaves: what is still here goes back, and the directory goes.</summary>
    public void Leave(Action<string, MessageName> release)
    {
        Empty(DirectoryPath, release);
        Dispose();
    }

    public void Dispose() => _lock.Dispose();

    /// <summary>Whether a file in a worker's directory takes the room of a message.</summary>
    public static bool TakesRoom(string file) => file.EndsWith(Reserved, StringComparison.Ordinal) || MessageName.TryParse(file, out _);

    /// <summary>Whether a directory's worker lives and takes work.</summary>
    public static bool Works(string directory)
    {
        if (PrivateFiles.Status(Path.Combine(directory, WorksName)) is null) return false;
        using SafeFileHandle? file = PrivateFile.TryOpen(Path.Combine(directory, LockName), FileAccess.Read);
        return file is not null && FileLock.IsHeld(file);
    }

    /// <summary>Returns the messages of a dead worker, and removes its directory. Does nothing if the worker
    /// lives.</summary>
    /// <returns><see langword="true"/> if the worker was dead; otherwise, <see langword="false"/>.</returns>
    public static bool TrySweep(string directory, Action<string, MessageName> release)
    {
        // Only who holds a directory's lock may empty it: what has no lock yet is being made, and its owner
        // may take the lock at any moment.
        string path = Path.Combine(directory, LockName);
        using SafeFileHandle? file = PrivateFile.TryOpen(path, FileAccess.Read);
        if (file is null) return Path.GetFileName(directory)[0] == '.' ? !PrivateFiles.TryRemoveDirectory(directory).Failed
            : TrySweepUnlocked(directory, release);
        if (!FileLock.TryAcquire(file, path)) return false;
        // Another sweeper was quicker, and somebody may have made a lock of that name since.
        if (PrivateFiles.Status(path) is not { } named || named.Inode != PrivateFiles.Status(file).Inode) return false;
        Empty(directory, release);
        return true;
    }

    /// <summary>Sweeps what came into sight with a lock and has none: it was swept almost
    /// to its end, or a person removed the lock.</summary>
    private static bool TrySweepUnlocked(string directory, Action<string, MessageName> release)
    {
        using LockFile held = new LockFile(Path.Combine(directory, LockName));
        try
        {
            if (!held.TryAcquire()) return false;
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }

        Empty(directory, release);
        return true;
    }

    private static void Empty(string directory, Action<string, MessageName> release)
    {
        foreach (string name in RootDirectory.NamesIn(directory))
        {
            string path = Path.Combine(directory, name);
            if (MessageName.TryParse(name, out MessageName message)) release(path, message);
            else if (name == WorksName || name.EndsWith(New, StringComparison.Ordinal) || name.EndsWith(Reserved, StringComparison.Ordinal))
                PrivateFile.Remove(path);
        }

        PrivateFile.Remove(Path.Combine(directory, LockName));
        FileFailure failure = PrivateFiles.TryRemoveDirectory(directory);
        // It is gone already, or something foreign is in it that is not ours to remove.
        if (failure.Kind is FileFailureKind.None or FileFailureKind.NotFound or FileFailureKind.NotEmpty or FileFailureKind.Exists) return;
        throw PrivateFile.Refused("rmdir", directory, failure);
    }

    private string Unique(string extension) =>
        Path.Combine(DirectoryPath, Interlocked.Increment(ref _files).ToString(CultureInfo.InvariantCulture) + extension);
}
