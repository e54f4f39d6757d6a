using System.Buffers;
using System.Security.Cryptography;
using System.Text.Unicode;

namespace Otto.Tools.Demo.Work;

// Vision's work: what a file is by its first bytes, what it hashes to, and how random it is. Read once, in pieces.

internal static class FileAnalysis
{
    private const int PieceBytes = 256 * 1024;

    /// <summary>Kind, SHA-256 and entropy of a file, in a few words.</summary>
    public static string Describe(string path, CancellationToken cancellationToken)
    {
        using FileStream? file = RegularFile.TryOpen(path);
        if (file is null) return "empty";
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            Span<long> counts = stackalloc long[256];
            counts.Clear();
            string? kind = null;
            long bytes = 0;
            for (int read; (read = file.Read(piece, 0, PieceBytes)) > 0; bytes += read)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ReadOnlySpan<byte> part = piece.AsSpan(0, read);
                kind ??= KindOf(part);
                hash.AppendData(part);
                foreach (byte b in part) counts[b]++;
            }

            return $"{kind ?? "empty"}, {bytes:N0} bytes, {Entropy(counts, bytes):0.00} bits a byte, sha256 "
                + $"{Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}";
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }

    /// <summary>What a file is, by the bytes that its format begins with.</summary>
    public static string KindOf(ReadOnlySpan<byte> start) => start switch
    {
        [(byte)'M', (byte)'Z', ..] => "PE",
        [0x7F, (byte)'E', (byte)'L', (byte)'F', ..] => "ELF",
        [0x89, (byte)'P', (byte)'N', (byte)'G', ..] => "PNG",
        [0xFF, 0xD8, 0xFF, ..] => "JPEG",
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => "GIF",
        [(byte)'P', (byte)'K', 3, 4, ..] => "ZIP",
        [(byte)'%', (byte)'P', (byte)'D', (byte)'F', ..] => "PDF",
        [0x1F, 0x8B, ..] => "gzip",
        [0xEF, 0xBB, 0xBF, ..] => "text",
        [(byte)'{' or (byte)'[', ..] => "JSON",
        [(byte)'<', ..] => "XML",
        _ => IsText(start) ? "text" : "binary",
    };

    private static double Entropy(ReadOnlySpan<long> counts, long total)
    {
        double bits = 0;
        foreach (long count in counts)
        {
            if (count == 0) continue;
            double part = (double)count / total;
            bits -= part * Math.Log2(part);
        }

        return bits;
    }

    private static bool IsText(ReadOnlySpan<byte> start)
    {
        // A piece may end inside a character, so the last few bytes do not count against it.
        ReadOnlySpan<byte> sample = start.Length > 1024 ? start[..1024] : start;
        for (int cut = 0; cut < 4 && cut <= sample.Length; cut++)
        {
            if (Utf8.IsValid(sample[..^cut])) return !sample.Contains((byte)0);
        }

        return false;
    }
}
