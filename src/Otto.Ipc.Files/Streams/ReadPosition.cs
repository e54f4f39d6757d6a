using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// How far the receiver of a lane is. The receiver overwrites it in place, so it stands there twice: a copy made while it changes differs.

internal static class ReadPosition
{
    private const int Digits = 20, Bytes = 2 * Digits + 2, MostAttempts = 1000;

    /// <summary>Reads the position; zero if the lane never had a receiver.</summary>
    /// <exception cref="CorruptSegmentException">The file holds no position.</exception>
    public static long Load(SenderLogFiles log)
    {
        using SafeFileHandle? file = PrivateFile.TryOpen(log.Read, FileAccess.Read);
        return file is null ? 0 : Load(file, log.Read);
    }

    /// <summary>Makes the file of a lane that never had a receiver. The caller holds the lane's lock.</summary>
    public static void Reserve(SenderLogFiles log)
    {
        using SafeFileHandle? made = PrivateFile.TryCreate(log.Read, append: false);
        if (made is not null) Store(made, log.Read, 0);
    }

    public static long Load(SafeFileHandle file, string path)
    {
        Span<byte> text = stackalloc byte[Bytes + 1];
        int had = 0;
        for (int attempt = 0; attempt < MostAttempts; attempt++)
        {
            had = RandomAccess.Read(file, text, 0);
            if (had == 0) return 0;
            if (had == Bytes && text[Digits] == ' ' && text[Bytes - 1] == '\n'
                && text[..Digits].SequenceEqual(text.Slice(Digits + 1, Digits))
                && long.TryParse(text[..Digits], NumberStyles.None, CultureInfo.InvariantCulture, out long position)) return position;
        }

        string found = Encoding.UTF8.GetString(text[..had]).TrimEnd();
        throw new CorruptSegmentException(
            $"{path} does not hold a position twice, but '{found}'; write it anew, or remove it to read the log from its beginning");
    }

    public static void Store(SafeFileHandle file, string path, long position)
    {
        Span<byte> text = stackalloc byte[Bytes];
        position.TryFormat(text, out _, "D20", CultureInfo.InvariantCulture);
        text[Digits] = (byte)' ';
        text[..Digits].CopyTo(text[(Digits + 1)..]);
        text[Bytes - 1] = (byte)'\n';
        PrivateFile.Write(file, path, text, 0);
    }
}
