using System.Runtime.InteropServices;
using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

// The FIFO's name in the file system: made 0600, never through a link, and opened without ever waiting for the other side.

internal static class FifoFile
{
    /// <summary>Makes the FIFO where there is nothing, and refuses what is not a FIFO of this user alone.</summary>
    public static void Ensure(string path)
    {
        int error = PipeCalls.MakeFifo(path);
        if (error is not (0 or Libc.EEXIST)) throw Libc.Failure("mkfifo", path, error);
        Check(path);
    }

    /// <summary>Refuses what is not a FIFO of this user alone.</summary>
    public static void Check(string path) =>
        Check(Libc.Status(path) ?? throw new FileNotFoundException($"there is no FIFO at {path}", path), path);

    /// <summary>Opens the reading end; there need be no writer.</summary>
    public static Pipe OpenReading(string path)
    {
        int fd = Open(path, Libc.O_RDONLY);
        return fd >= 0 ? new Pipe(fd) : throw Libc.Failure("open", path, -fd);
    }

    /// <summary>Opens the writing end, if a process has the FIFO open for reading.</summary>
    /// <returns>The pipe; none if no process reads.</returns>
    public static Pipe TryOpenWriting(string path)
    {
        int fd = Open(path, PipeCalls.O_WRONLY);
        if (fd >= 0) return new Pipe(fd);
        return fd == -Libc.ENXIO ? default : throw Libc.Failure("open", path, -fd);
    }

    /// <summary>Whether the pipe can take no more, however few bytes are in it. For its reader to ask.</summary>
    public static bool IsFull(string path)
    {
        Pipe writing = TryOpenWriting(path);
        if (!writing.IsOpen) return false;
        bool full = !writing.IsWritable;
        writing.Close();
        return full;
    }

    /// <summary>Deletes the name. Any process that waits in an open of it is let in and finds the end. No process can
    /// open it after that.</summary>
    public static void Remove(string path)
    {
        int both = Libc.Open(path, Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0);
        _ = Libc.Unlink(path);
        if (both >= 0) _ = Libc.Close(both);
    }

    private static int Open(string path, int access)
    {
        while (true)
        {
            int fd = Libc.Open(path, access | Libc.O_NONBLOCK | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0);
            if (fd < 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error == Libc.EINTR) continue;
                return error == Libc.ELOOP ? throw new IOException($"{path} is a symbolic link; links are not followed") : -error;
            }

            try
            {
                Check(Libc.Status(fd), path);
                return fd;
            }
            catch
            {
                _ = Libc.Close(fd);
                throw;
            }
        }
    }

    private static void Check(FileStatus status, string path)
    {
        uint me = Libc.GetEuid();
        if (status.IsLink) throw new IOException($"{path} is a symbolic link; links are not followed");
        if (!status.IsFifo) throw new IOException($"{path} is not a FIFO; remove it, or choose another name");
        if (status.Uid != me) throw new UnauthorizedAccessException($"the FIFO {path} belongs to uid {status.Uid}, not to {me}");
        if (status.OthersMayUse)
            throw new UnauthorizedAccessException(
                $"the FIFO {path} has mode {Convert.ToString(status.Permissions, 8)}; others could take part: chmod 600 it");
    }
}
