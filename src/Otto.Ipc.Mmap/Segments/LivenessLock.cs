using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// Who is alive: open-file-description locks on bytes far beyond the end of a segment file. The kernel drops them when the last
// copy of the descriptor is gone, however the process ended, so a byte that can be locked proves a death; any error counts as alive.

/// <summary>A descriptor of a segment file that only ever carries locks. It is never mapped, since a mapping would outlive it.</summary>
internal sealed class LivenessLock : IDisposable
{
    /// <summary>Held for reading by everyone attached; for writing by whoever removes the segment.</summary>
    public const long SegmentByte = (1L << 40) - 1;

    /// <summary>Held for writing by participant n at n.</summary>
    public const long ParticipantByte = 1L << 40;

    /// <summary>Held for writing by the one holder of an exclusive role, such as a stream's receiver.</summary>
    public const long RoleByte = (1L << 40) + (1L << 20);

    /// <summary>Held for writing by whoever looks whether a message is there before it sends one; for microseconds.</summary>
    public const long TurnByte = (1L << 40) + (1L << 21);

    private readonly SafeFileHandle _file;

    private LivenessLock(SafeFileHandle file) => _file = file;

    /// <summary>Opens the same file anew: locks belong to the open file description, and one never sees its own as taken.</summary>
    /// <param name="file">Which file.</param>
    /// <param name="writable">Whether locks for writing will be taken; looking at others' needs none.</param>
    public static LivenessLock Reopen(SafeFileHandle file, bool writable = true)
    {
        string path = $"/proc/self/fd/{(int)file.DangerousGetHandle()}";
        int fd = Libc.Open(path, (writable ? Libc.O_RDWR : Libc.O_RDONLY) | Libc.O_CLOEXEC, 0);
        GC.KeepAlive(file);
        if (fd < 0) throw Libc.Failure("open", path);
        return new LivenessLock(new SafeFileHandle(fd, ownsHandle: true));
    }

    public bool TryWrite(long offset) => TrySet(offset, Libc.F_WRLCK);

    public bool TryRead(long offset) => TrySet(offset, Libc.F_RDLCK);

    public void Release(long offset) => TrySet(offset, Libc.F_UNLCK);

    /// <summary>Whether nobody else holds the byte in any way. Takes nothing; an error counts as held.</summary>
    public bool IsFree(long offset) => Probe(offset) == Libc.F_UNLCK;

    /// <summary>Whether the byte is held for writing: the mark of a live participant, where a sweeper only reads.</summary>
    public bool IsHeldForWriting(long offset) => Probe(offset) == Libc.F_WRLCK;

    /// <summary>Drops every lock now: closing alone leaves them with a child that was forked meanwhile and has not yet called exec.</summary>
    public void Dispose()
    {
        if (_file.IsClosed) return;
        TrySet(0, Libc.F_UNLCK, length: 0);
        _file.Dispose();
    }

    /// <summary>Refuses a file system whose locks do not work: on such a one everybody would look dead.</summary>
    public static void RequireConflicts(SafeFileHandle file, string path)
    {
        using LivenessLock one = Reopen(file), other = Reopen(file);
        if (!one.TryWrite(ParticipantByte)) throw Libc.Failure("F_OFD_SETLK", path);
        bool refused = !other.TryWrite(ParticipantByte) && Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EACCES;
        if (!refused || other.IsFree(ParticipantByte))
            throw new IOException($"the file system of {path} does not keep open-file-description locks apart; name a directory on tmpfs, ext4 or xfs in OTTO_SHM_DIR");
    }

    private short Probe(long offset)
    {
        var request = new Libc.FileLock { Type = Libc.F_WRLCK, Start = offset, Length = 1 };
        bool added = false;
        try
        {
            _file.DangerousAddRef(ref added);
            return Libc.Fcntl((int)_file.DangerousGetHandle(), Libc.F_OFD_GETLK, ref request) == 0 ? request.Type : Libc.F_WRLCK;
        }
        finally
        {
            if (added) _file.DangerousRelease();
        }
    }

    // A length of 0 is everything from there on.
    private bool TrySet(long offset, short type, long length = 1)
    {
        var request = new Libc.FileLock { Type = type, Start = offset, Length = length };
        bool added = false;
        try
        {
            _file.DangerousAddRef(ref added);
            while (true)
            {
                if (Libc.Fcntl((int)_file.DangerousGetHandle(), Libc.F_OFD_SETLK, ref request) == 0) return true;
                if (Marshal.GetLastPInvokeError() != Libc.EINTR) return false;
            }
        }
        finally
        {
            if (added) _file.DangerousRelease();
        }
    }
}
