using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// Standard output by write(2): Console hides that the reader has gone, and FileStream forgets where a shell's >> stood.

internal static unsafe partial class StandardOutput
{
    private const int Descriptor = 1, Eintr = 4, Eagain = 11, Epipe = 32;
    private const short Pollerr = 8, Pollout = 4;

    /// <summary>Writes the bytes and a line's end.</summary>
    /// <exception cref="BrokenPipeException">Nobody reads any more.</exception>
    public static void WriteLine(ReadOnlySpan<byte> bytes) => Write(bytes, "\n"u8);

    /// <summary>Writes the bytes and what ends them, in one call where possible, so that a follower's lines are whole
    /// in whatever reads them.</summary>
    /// <exception cref="BrokenPipeException">Nobody reads any more.</exception>
    public static void Write(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> end) => Write([.. bytes, .. end]);

    /// <summary>Writes the bytes as they are.</summary>
    /// <exception cref="BrokenPipeException">Nobody reads any more.</exception>
    public static void Write(ReadOnlySpan<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            nint written;
            fixed (byte* at = bytes[done..]) written = Write(Descriptor, at, bytes.Length - done);
            if (written >= 0)
            {
                done += (int)written;
                continue;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error == Epipe) throw new BrokenPipeException();
            if (error == Eagain) DescriptorPoll.Wait(Descriptor, Pollout, -1, out _);
            else if (error != Eintr)
                throw new IOException($"writing to standard output failed: {Marshal.GetPInvokeErrorMessage(error)} (errno {error})");
        }
    }

    /// <summary>Whether the reader of a pipe has gone, which a follower with nothing to
    /// write would not notice.</summary>
    public static bool IsBroken => DescriptorPoll.Wait(Descriptor, 0, 0, out short returned) > 0 && (returned & Pollerr) != 0;

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, byte* bytes, nint length);
}

/// <summary>Nobody reads standard output any more: the end of the work, without words.</summary>
internal sealed class BrokenPipeException : IOException;
