using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Stores;

// One store's file. A writer makes a new file and renames it into place, so whoever opens the name gets a whole value, and a look at what
// the name leads to tells whether what was read last still counts. The file that was read stays open: its
// number cannot be another's meanwhile.

internal sealed class StoreFile(string directory, ChannelName task, FilesTransportOptions options) : IDisposable
{
    private const int MostAttempts = 100;

    private readonly Lock _gate = new();
    private readonly string _path = Path.Combine(directory, $"output.{task.Value}.json");
    // One name is enough, since only the holder of the lock writes; what a killed writer left there is removed by the next.
    private readonly string _newPath = Path.Combine(directory, $".output.{task.Value}.json.new");
    private SafeFileHandle? _file;
    private FileStatus _status;
    private StoreObject _seen = StoreObject.Empty;
    private bool _closed;

    /// <summary>The directory in which a change may be one of this file.</summary>
    public string Folder => directory;

    /// <summary>The side file of the store's lock, for <c>flock</c> too.</summary>
    public string LockPath { get; } = Path.Combine(directory, $"output.{task.Value}.lock");

    /// <summary>What the file holds now. Takes no lock.</summary>
    /// <exception cref="CorruptSegmentException">The file is not one JSON object, or too large.</exception>
    /// <exception cref="UnauthorizedAccessException">It is a link, or not this user's.</exception>
    public StoreObject Read()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            for (int attempt = 0; attempt < MostAttempts; attempt++)
            {
                FileStatus? now = PrivateFiles.Status(_path);
                if (now is null) return Remember(null, default, StoreObject.Empty);
                if (_file is not null && now == _status) return _seen;
                SafeFileHandle? file = PrivateFile.TryOpen(_path, FileAccess.Read);
                if (file is null) continue;
                FileStatus before = PrivateFiles.Status(file);
                try
                {
                    byte[] text = PrivateFile.ReadAll(file, _path, options.MaxStoreBytes);
                    // Ours are never written in place; a foreign program's may be, and then the file says so.
                    if (PrivateFiles.Status(file) is var after && IsOtherText(before, after)) continue;
                    StoreObject read = StoreObject.Parse(text, _path);
                    SafeFileHandle kept = file;
                    file = null;
                    return Remember(kept, after, read);
                }
                finally
                {
                    file?.Dispose();
                }
            }

            throw new IOException($"{_path} changed {MostAttempts} times while it was being read; try again");
        }
    }

    /// <summary>Puts another object in the file's place. The caller holds the lock.</summary>
    /// <exception cref="IOException">There is no room for it; what was there stays.</exception>
    public void Replace(StoreObject next)
    {
        if (next.Text.Length > options.MaxStoreBytes)
            throw new IOException($"the store {_path} would have {next.Text.Length:N0} bytes, its limit is {options.MaxStoreBytes:N0}; "
                + $"delete keys, or raise MaxStoreBytes");
        SafeFileHandle? file = PrivateFile.WriteNew(_newPath, next.Text, options.Flush);
        try
        {
            if (!PrivateFile.Move(_newPath, _path))
                throw new IOException($"{_newPath} was removed while it was being written; nothing was changed");
            if (options.Flush == FlushLevel.FileAndDirectory) PrivateFile.FlushDirectory(directory);
            lock (_gate)
            {
                if (_closed) return;
                // After the rename, which counts as a change of the file too.
                Remember(file, PrivateFiles.Status(file), next);
                file = null;
            }
        }
        finally
        {
            file?.Dispose();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Remember(null, default, StoreObject.Empty);
        }
    }

    private StoreObject Remember(SafeFileHandle? file, FileStatus status, StoreObject read)
    {
        _file?.Dispose();
        _file = file;
        _status = status;
        return _seen = read;
    }

    private static bool IsOtherText(FileStatus before, FileStatus after) => before.Size != after.Size || before.Modified != after.Modified;
}
