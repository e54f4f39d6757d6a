using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Portable;

// Files that are made whole under a temporary name, then get their own. What a creator that was killed leaves is removed by the next
// one: each creator has its file open, which no other process can then open alone.

internal static class TemporaryFiles
{
    private const string Prefix = ".new-";
    private const int ZerosAtOnce = 1 << 20, Tries = 10;

    private static readonly ConditionalWeakTable<SafeFileHandle, string> s_paths = [];

    /// <summary>Makes a file under a temporary name, which vanishes with its handle unless it is named.</summary>
    /// <exception cref="IOException">No file can be made there.</exception>
    public static SafeFileHandle Create(string directory)
    {
        RemoveAbandoned(directory);
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            Options = FileOptions.DeleteOnClose, // By its temporary path, of which nothing is there once it has its name.
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        for (int attempt = 1;; attempt++)
        {
            string path = Path.Combine(directory, $"{Prefix}{Guid.NewGuid():N}");
            try
            {
#pragma warning disable CA2000 // The handle is the caller's; a stream without a buffer holds nothing else.
                SafeFileHandle file = new FileStream(path, options).SafeFileHandle;
#pragma warning restore CA2000
                s_paths.Add(file, path);
                return file;
            }
            catch (IOException) when (attempt < Tries)
            {
                // Taken for abandoned by another creator, between its opening and its lock.
            }
        }
    }

    /// <summary>The temporary name of a file that <see cref="Create"/> made.</summary>
    public static string PathOf(SafeFileHandle file) =>
        s_paths.TryGetValue(file, out string? path) ? path : throw new ArgumentException("not a temporary file", nameof(file));

    /// <summary>Moves a file to its own name, in one step on Windows alone: on Unix File.Move checks whether the target
    /// exists and then renames over what came meanwhile.</summary>
    /// <returns><see langword="false"/> if something of that name is there.</returns>
    public static bool TryMove(string temporary, string path)
    {
        try
        {
            File.Move(temporary, path, overwrite: false);
            return true;
        }
        catch (IOException) when (Path.Exists(path))
        {
            return false;
        }
    }

    /// <summary>Gives every byte of a new file its storage, by writing it.</summary>
    /// <exception cref="IOException">There is no room.</exception>
    public static void Allocate(SafeFileHandle file, long bytes)
    {
        byte[] zeros = new byte[(int)Math.Min(bytes, ZerosAtOnce)];
        for (long at = 0; at < bytes; at += zeros.Length)
            RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, bytes - at)), at);
    }

    private static void RemoveAbandoned(string directory)
    {
        foreach (string path in Directory.EnumerateFiles(directory, Prefix + "*"))
        {
            try
            {
                using var alone = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                File.Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Its creator is at work.
            }
        }
    }
}
