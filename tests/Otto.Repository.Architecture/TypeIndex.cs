using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Otto.Repository.Architecture;

// The types of one project that a file can be named for. Nested types are left out: another file reaches them through the type around them.

internal sealed record DeclaredType(string Namespace, string Name, int Arity)
{
    public HashSet<SourceFile> Files { get; } = [];

    /// <summary>The names that mean something else inside the type: its members, and the types nested in it.</summary>
    public HashSet<string> Members { get; } = [];

    public HashSet<string> NestedTypes { get; } = [];

    public HashSet<string> Bases { get; } = [];
}

internal sealed class TypeIndex
{
    private readonly Dictionary<(string Namespace, string Name, int Arity), DeclaredType> _types = [];
    private readonly Dictionary<string, List<DeclaredType>> _extensions = [];
    private readonly HashSet<string> _members = [];

    public TypeIndex(IReadOnlyList<SourceFile> files)
    {
        foreach (SourceFile file in files)
        {
            foreach (SyntaxNode node in Outside(file))
            {
                if (node is BaseTypeDeclarationSyntax or DelegateDeclarationSyntax) Add(file, (MemberDeclarationSyntax)node);
            }
        }

        ByName = _types.Values.ToLookup(type => type.Name);
        // A method that some type of the project has itself may be meant instead.
        foreach (string name in _extensions.Keys.Where(_members.Contains).ToList()) _extensions.Remove(name);
    }

    public ILookup<string, DeclaredType> ByName { get; }

    public IEnumerable<DeclaredType> Types => _types.Values;

    public IEnumerable<DeclaredType> WithExtension(string method) => _extensions.GetValueOrDefault(method) ?? [];

    public DeclaredType? Find(MemberDeclarationSyntax declaration) => _types.GetValueOrDefault(Key(declaration));

    /// <summary>What a file has outside of its types.</summary>
    public static IEnumerable<SyntaxNode> Outside(SourceFile file) =>
        file.Syntax.DescendantNodes(node => node is CompilationUnitSyntax or BaseNamespaceDeclarationSyntax);

    public static string NamespaceOf(SyntaxNode node) =>
        string.Join('.', node.AncestorsAndSelf().OfType<BaseNamespaceDeclarationSyntax>().Reverse().Select(space => space.Name.ToString()));

    private static (string Namespace, string Name, int Arity) Key(MemberDeclarationSyntax declaration) => declaration switch
    {
        TypeDeclarationSyntax type => (NamespaceOf(type), type.Identifier.ValueText, type.Arity),
        DelegateDeclarationSyntax type => (NamespaceOf(type), type.Identifier.ValueText, type.Arity),
        BaseTypeDeclarationSyntax type => (NamespaceOf(type), type.Identifier.ValueText, 0),
        _ => default,
    };

    private void Add(SourceFile file, MemberDeclarationSyntax declaration)
    {
        var key = Key(declaration);
        if (!_types.TryGetValue(key, out DeclaredType? type)) _types[key] = type = new DeclaredType(key.Namespace, key.Name, key.Arity);
        type.Files.Add(file);
        if (declaration is not TypeDeclarationSyntax body) return;
        if (body.BaseList is { } bases) type.Bases.UnionWith(bases.Types.Select(b => SimpleName(b.Type)));
        if (body is RecordDeclarationSyntax { ParameterList: { } properties })
            type.Members.UnionWith(properties.Parameters.Select(parameter => parameter.Identifier.ValueText));
        foreach (MemberDeclarationSyntax member in body.Members) AddMember(type, member);
        _members.UnionWith(type.Members);
    }

    private void AddMember(DeclaredType type, MemberDeclarationSyntax member)
    {
        switch (member)
        {
            case ExtensionBlockDeclarationSyntax block:
                foreach (MethodDeclarationSyntax inner in block.Members.OfType<MethodDeclarationSyntax>())
                    AddExtension(type, inner.Identifier.ValueText);
                break;
            case MethodDeclarationSyntax { ParameterList.Parameters: [var first, ..] } method
                when first.Modifiers.Any(SyntaxKind.ThisKeyword):
                AddExtension(type, method.Identifier.ValueText);
                break;
            case BaseTypeDeclarationSyntax nested:
                type.NestedTypes.Add(nested.Identifier.ValueText);
                if (nested is not TypeDeclarationSyntax around) break;
                _members.UnionWith(around.Members.OfType<MethodDeclarationSyntax>().Select(inner => inner.Identifier.ValueText));
                break;
            case DelegateDeclarationSyntax nested:
                type.NestedTypes.Add(nested.Identifier.ValueText);
                break;
            case MethodDeclarationSyntax method:
                type.Members.Add(method.Identifier.ValueText);
                break;
            case PropertyDeclarationSyntax property:
                type.Members.Add(property.Identifier.ValueText);
                break;
            case EventDeclarationSyntax e:
                type.Members.Add(e.Identifier.ValueText);
                break;
            case BaseFieldDeclarationSyntax field:
                type.Members.UnionWith(field.Declaration.Variables.Select(variable => variable.Identifier.ValueText));
                break;
        }
    }

    private void AddExtension(DeclaredType type, string method)
    {
        if (!_extensions.TryGetValue(method, out List<DeclaredType>? types)) _extensions[method] = types = [];
        if (!types.Contains(type)) types.Add(type);
    }

    public static string SimpleName(TypeSyntax type) => type switch
    {
        SimpleNameSyntax simple => simple.Identifier.ValueText,
        QualifiedNameSyntax qualified => qualified.Right.Identifier.ValueText,
        AliasQualifiedNameSyntax alias => alias.Name.Identifier.ValueText,
        _ => "",
    };
}
