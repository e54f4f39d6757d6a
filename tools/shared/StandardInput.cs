using System.Text.Unicode;

namespace Otto.Tools;

// A value from standard input: all of it, less one newline at its end, and never more than could be kept.

internal static class StandardInput
{
    /// <summary>Reads to the end.</summary>
    /// <param name="most">The most bytes.</param>
    /// <param name="tooMuch">What to throw where there are more.</param>
    /// <returns>UTF-8.</returns>
    public static byte[] ReadText(int most, Func<long, Exception> tooMuch)
    {
        byte[] bytes = Read(most, tooMuch);
        return Utf8.IsValid(bytes) ? bytes
            : throw new ArgumentException(
                $"the {bytes.Length:N0} bytes of standard input are not UTF-8; encode them first, for example with base64");
    }

    /// <summary>Reads to the end.</summary>
    /// <returns>UTF-8, less its newline; or bytes that are none, all of them.</returns>
    public static byte[] Read(int most, Func<long, Exception> tooMuch)
    {
        using Stream input = Console.OpenStandardInput();
        using var all = new MemoryStream();
        byte[] buffer = new byte[64 * 1024];
        for (int read; (read = input.Read(buffer)) > 0;)
        {
            all.Write(buffer, 0, read);
            if (all.Length > most) throw tooMuch(all.Length);
        }

        ReadOnlySpan<byte> bytes = all.GetBuffer().AsSpan(0, (int)all.Length);
        if (!Utf8.IsValid(bytes)) return bytes.ToArray();
        if (bytes.EndsWith("\r\n"u8)) bytes = bytes[..^2];
        else if (bytes.EndsWith("\n"u8)) bytes = bytes[..^1];
        return bytes.ToArray();
    }
}
