using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Otto.Repository.Architecture;

/// <summary>A text of the repository. <paramref name="Path"/> is relative to its root and uses slashes.</summary>
public sealed record SourceFile(string Path, string Text)
{
    private readonly Lazy<CompilationUnitSyntax> _syntax =
        new(() => CSharpSyntaxTree.ParseText(Text, Options, Path).GetCompilationUnitRoot());
    private readonly Lazy<SourceText> _lines = new(() => SourceText.From(Text));

    private static CSharpParseOptions Options { get; } = CSharpParseOptions.Default
        .WithLanguageVersion(LanguageVersion.Preview).WithDocumentationMode(Microsoft.CodeAnalysis.DocumentationMode.None);

    /// <summary>The first two folders: src/Otto.Queue. Shared sources (tools/shared) are a project as well.</summary>
    public string Project { get; } = string.Join('/', Path.Split('/').SkipLast(1).Take(2));

    /// <summary>The folder inside the project; empty for the project's root.</summary>
    public string Folder { get; } = string.Join('/', Path.Split('/').SkipLast(1).Skip(2));

    /// <summary>The path inside the project.</summary>
    public string Name { get; } = string.Join('/', Path.Split('/').Skip(2));

    public bool IsCode => Path.EndsWith(".cs", StringComparison.Ordinal);

    public CompilationUnitSyntax Syntax => _syntax.Value;

    public IEnumerable<string> Lines => _lines.Value.Lines.Select(line => line.ToString());

    /// <summary>The number, from 1, of the line that holds a position.</summary>
    public int LineAt(int position) => _lines.Value.Lines.GetLineFromPosition(position).LineNumber + 1;

    public bool Equals(SourceFile? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Path.GetHashCode(StringComparison.Ordinal);
}
