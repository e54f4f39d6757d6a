using System.Text.RegularExpressions;

namespace Otto.Ipc.Conformance;

// Examples in the documents are run as they stand there, so that they stay true.

/// <summary>A fenced piece of a document.</summary>
/// <param name="Language">What stands behind the fence.</param>
/// <param name="Text">What stands inside it.</param>
/// <param name="Line">Where it begins.</param>
public sealed record DocumentBlock(string Language, string Text, int Line);

/// <summary>Finds and compares examples.</summary>
public static class DocumentExamples
{
    /// <summary>The checkout that the tests were built from.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The fenced pieces of a document, in order.</summary>
    public static IReadOnlyList<DocumentBlock> Blocks(string document)
    {
        var blocks = new List<DocumentBlock>();
        string[] lines = File.ReadAllLines(Path.Combine(Root, document));
        for (int i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith("```", StringComparison.Ordinal)) continue;
            int end = Array.IndexOf(lines, "```", i + 1);
            blocks.Add(new DocumentBlock(lines[i][3..], string.Concat(lines[(i + 1)..end].Select(line => line + "\n")), i + 1));
            i = end;
        }

        return blocks;
    }

    /// <summary>Whether an output is what a document shows, where … stands for anything on a line.</summary>
    public static bool Shows(string shown, string output) =>
        Regex.IsMatch(output, "^" + Regex.Escape(shown).Replace("…", "[^\n]+", StringComparison.Ordinal) + "$");

    /// <summary>Whether a piece of a program stands in a source file, at whatever depth.</summary>
    public static bool IsIn(string source, DocumentBlock block)
    {
        ArgumentNullException.ThrowIfNull(block);
        return Flat(File.ReadAllText(Path.Combine(Root, source))).Contains(Flat(block.Text), StringComparison.Ordinal);

        static string Flat(string text) => string.Join('\n', text.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0));
    }

    private static string FindRoot()
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Otto.Ipc.sln"))) root = Path.GetDirectoryName(root)!;
        return root;
    }
}
