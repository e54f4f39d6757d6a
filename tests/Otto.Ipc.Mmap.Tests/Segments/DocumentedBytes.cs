using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Segments;

// The golden bytes that stand in docs/layouts.md, so that the document cannot say one thing and the code write another.

internal static class DocumentedBytes
{
    /// <summary>The bytes of a block, zero where it has no line.</summary>
    public static byte[] Read(string name, int size)
    {
        byte[] bytes = new byte[size];
        string document = Path.Combine(DocumentExamples.Root, "docs", "layouts.md");
        foreach (string line in File.ReadLines(document).SkipWhile(l => l != "```" + name).Skip(1).TakeWhile(l => l != "```"))
        {
            if (line == "*") continue;
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            int at = int.Parse(fields[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            foreach (string field in fields.Skip(1)) bytes[at++] = byte.Parse(field, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        return bytes;
    }
}
