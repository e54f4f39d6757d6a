using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Linux;

// Open-file-description locks on bytes far beyond the end of a file. The kernel drops them when the last copy of the descriptor is gone,
// however the process ended, so a byte that can be locked proves a death; any error counts as alive.

internal static class RangeLocks
{
    /// <summary>
    /// Opens the same file anew: locks belong to the open file description, and one never sees its own as taken.
    /// </summary>
    /// <param name="file">Which file.</param>
    /// <param name="writable">Whether locks for writing will be taken; probing others' locks needs none.</param>
    public static SafeFileHandle Reopen(SafeFileHandle file, bool writable)
    {
        string path = $"/proc/self/fd/{(int)file.DangerousGetHandle()}";
        int fd = Libc.Open(path, (writable ? Libc.O_RDWR : Libc.O_RDONLY) | Libc.O_CLOEXEC, 0);
        GC.KeepAlive(file);
        if (fd < 0) throw Libc.Failure("open", path);
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    public static bool TryWrite(SafeFileHandle file, long offset) => TrySet(file, offset, Libc.F_WRLCK);

    public static bool TryRead(SafeFileHandle file, long offset) => TrySet(file, offset, Libc.F_RDLCK);

    public static void Release(SafeFileHandle file, long offset) => TrySet(file, offset, Libc.F_UNLCK);

    /// <summary>Drops every lock of the description. A length of 0 is everything from there on.</summary>
    public static void ReleaseAll(SafeFileHandle file) => TrySet(file, 0, Libc.F_UNLCK, length: 0);

    /// <summary>
    /// Whether no other holder has the byte in any way. Does not take a lock. An error counts as held.
    /// </summary>
    public static bool IsFree(SafeFileHandle file, long offset) => Probe(file, offset) == Libc.F_UNLCK;

    /// <summary>Whether the byte is held for writing.</summary>
    public static bool IsHeldForWriting(SafeFileHandle file, long offset) => Probe(file, offset) == Libc.F_WRLCK;

    /// <summary>The exception for a lock that could not be taken although it must be free.</summary>
    public static IOException Failure(string path) => Libc.Failure("F_OFD_SETLK", path);

    /// <summary>Whether the last refusal means that another has the lock.</summary>
    public static bool LastRefusalWasConflict => Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EACCES;

    private static short Probe(SafeFileHandle file, long offset)
    {
        var request = new Libc.FileLock { Type = Libc.F_WRLCK, Start = offset, Length = 1 };
        bool added = false;
        try
        {
            file.DangerousAddRef(ref added);
            return Libc.Fcntl((int)file.DangerousGetHandle(), Libc.F_OFD_GETLK, ref request) == 0 ? request.Type : Libc.F_WRLCK;
        }
        finally
        {
            if (added) file.DangerousRelease();
        }
    }

    private static bool TrySet(SafeFileHandle file, long offset, short type, long length = 1)
    {
        var request = new Libc.FileLock { Type = type, Start = offset, Length = length };
        bool added = false;
        try
        {
            file.DangerousAddRef(ref added);
            while (true)
            {
                if (Libc.Fcntl((int)file.DangerousGetHandle(), Libc.F_OFD_SETLK, ref request) == 0) return true;
                if (Marshal.GetLastPInvokeError() != Libc.EINTR) return false;
            }
        }
        finally
        {
            if (added) file.DangerousRelease();
        }
    }
}
