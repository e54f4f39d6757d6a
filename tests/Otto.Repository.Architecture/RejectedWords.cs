using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Otto.Repository.Architecture;

// The prose of a project: XML docs in src, string literals in tools (help texts and messages), all of README.md. Code inside the prose is
// left out.

internal static partial class RejectedWords
{
    // Stands for code, so that no phrase reaches over it.
    private const char Code = '\u00a4';

    public static Measurement Measure(SourceProject project, StyleSheet style) => Measure(project, style, Prose);

    public static Measurement MeasureMessages(SourceProject project, StyleSheet style) => Measure(project, style, Literals);

    private static Measurement Measure(SourceProject project, StyleSheet style, Func<SourceFile, IEnumerable<(int, string)>> prose)
    {
        List<string> offenders = [];
        foreach (SourceFile file in project.Files)
        {
            foreach (var (start, text) in prose(file))
            {
                foreach (var (position, phrase, better) in style.Find(text))
                    offenders.Add($"{file.Path}:{file.LineAt(start + position)} \"{phrase}\": {better}");
            }
        }

        return new Measurement(offenders.Count, offenders);
    }

    // Every text keeps its length, so that a position in it is one in the file.
    private static IEnumerable<(int Start, string Text)> Prose(SourceFile file)
    {
        if (!file.IsCode) return [(0, Plain(Markdown(), file.Text))];
        return file.Project.StartsWith("src/", StringComparison.Ordinal) ? Documentation(file) : Literals(file);
    }

    private static IEnumerable<(int Start, string Text)> Documentation(SourceFile file)
    {
        // One comment may have several lines; what is between them is white space.
        char[] text = new string(' ', file.Text.Length).ToCharArray();
        bool any = false;
        foreach (SyntaxTrivia trivia in file.Syntax.DescendantTrivia())
        {
            if (!trivia.IsKind(SyntaxKind.SingleLineCommentTrivia) || file.Text.AsSpan(trivia.SpanStart, 3) is not "///") continue;
            any = true;
            int start = trivia.SpanStart + 3;
            file.Text.AsSpan(start, trivia.Span.End - start).CopyTo(text.AsSpan(start));
        }

        return any ? [(0, Plain(Xml(), new string(text)))] : [];
    }

    private static IEnumerable<(int Start, string Text)> Literals(SourceFile file) =>
        from token in file.Syntax.DescendantTokens()
        where token.Kind() is SyntaxKind.StringLiteralToken or SyntaxKind.InterpolatedStringTextToken
            or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken
        select (token.SpanStart, Escape().Replace(token.Text, "  "));

    private static string Plain(Regex code, string text) => code.Replace(text, match =>
    {
        // `false`, <see langword="null"/>: the word is read as it is in the page.
        if (match.Groups["word"] is { Success: true } word) return word.Value.PadRight(match.Length);
        return new string(match.Groups["inline"].Success ? ' ' : Code, match.Length);
    });

    [GeneratedRegex("""
        <see\s+langword="(?<word>\w+)"\s*/> | <c>.*?</c> | <code>.*?</code> | (?<inline></?(?:b|i|em|strong)>) | <(?:[^<>"]|"[^"]*")*>
        """, RegexOptions.Singleline | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Xml();

    [GeneratedRegex("""
        ^```.*?^``` | `(?<word>true|false|null)` | `[^`\n]+` | \]\([^)\n]*\) | <[^>\n]*> | (?<inline>[*]{1,2})
        """, RegexOptions.Singleline | RegexOptions.Multiline | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Markdown();

    [GeneratedRegex(@"\\[a-z0""]")]
    private static partial Regex Escape();
}
