using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Otto.Repository.Architecture;

// Which types of its project a file names. Only syntax is read: a name counts if a type of that name and number of type parameters is
// visible in the file, and if the name is not a member, a nested type, an alias or the name of an argument instead. A call x.Name() counts
// for the class whose extension method it may be, if no type of the project has a method of that name. Comments and strings are not code.

internal sealed class TypeReferences
{
    private readonly TypeIndex _index;
    private readonly HashSet<string> _globalUsings;

    public TypeReferences(TypeIndex index, IReadOnlyList<SourceFile> files)
    {
        _index = index;
        IEnumerable<UsingDirectiveSyntax> usings = files.SelectMany(file => file.Syntax.Usings).Where(IsNamespace);
        _globalUsings = [.. usings.Where(u => u.GlobalKeyword.IsKind(SyntaxKind.GlobalKeyword)).Select(u => u.Name!.ToString())];
    }

    public IEnumerable<Arrow> Of(SourceFile file)
    {
        UsingDirectiveSyntax[] usings = [.. TypeIndex.Outside(file).OfType<UsingDirectiveSyntax>()];
        HashSet<string> imported = [.. usings.Where(IsNamespace).Select(u => u.Name!.ToString()), .. _globalUsings];
        HashSet<string> aliases = [.. usings.Where(u => u.Alias is not null).Select(u => u.Alias!.Name.Identifier.ValueText)];
        Dictionary<(SourceFile, DeclaredType), Arrow> arrows = [];
        foreach (SyntaxNode node in file.Syntax.DescendantNodes(node => node is not UsingDirectiveSyntax u || !IsNamespace(u)))
        {
            if (node is not SimpleNameSyntax name) continue;
            foreach (DeclaredType type in Named(name, imported, aliases))
            {
                // Where the file has a part of the type itself, it names what is its own.
                if (type.Files.Contains(file)) continue;
                foreach (SourceFile target in type.Files)
                    arrows.TryAdd((target, type), new Arrow(file, target, type.Name, file.LineAt(name.SpanStart)));
            }
        }

        return arrows.Values;
    }

    private static bool IsNamespace(UsingDirectiveSyntax u) =>
        u.Alias is null && u.StaticKeyword.IsKind(SyntaxKind.None) && u.NamespaceOrType is NameSyntax;

    private DeclaredType[] Named(SimpleNameSyntax name, HashSet<string> imported, HashSet<string> aliases)
    {
        string text = name.Identifier.ValueText;
        if (QualifierOf(name) is { } qualifier)
        {
            string space = TypeIndex.NamespaceOf(name);
            DeclaredType[] spaced = [.. Candidates(name).Where(type => IsSpace(type.Namespace, qualifier.ToString(), space))];
            return spaced.Length > 0 ? spaced : Extensions(name, text, imported);
        }

        if (name.Parent is MemberBindingExpressionSyntax) return Extensions(name, text, imported);
        if (IsOtherwiseNamed(name) || aliases.Contains(text)) return [];
        DeclaredType[] visible = Visible(Candidates(name), TypeIndex.NamespaceOf(name), imported);
        return visible.Length > 0 && !IsShadowed(name, text) ? visible : [];
    }

    private IEnumerable<DeclaredType> Candidates(SimpleNameSyntax name)
    {
        string text = name.Identifier.ValueText;
        IEnumerable<DeclaredType> types = _index.ByName[text];
        if (name.Parent is AttributeSyntax) types = types.Concat(_index.ByName[text + "Attribute"]);
        return types.Where(type => type.Arity == name.Arity);
    }

    private DeclaredType[] Extensions(SimpleNameSyntax name, string text, HashSet<string> imported) =>
        name.Parent is { Parent: InvocationExpressionSyntax call } callee && call.Expression == callee
            ? Visible(_index.WithExtension(text), TypeIndex.NamespaceOf(name), imported)
            : [];

    // The nearest namespace around the file wins; then what is imported.
    private static DeclaredType[] Visible(IEnumerable<DeclaredType> candidates, string space, HashSet<string> imported)
    {
        DeclaredType[] all = [.. candidates];
        if (all.Length == 0) return all;
        DeclaredType? around = all.Where(type => IsAround(type.Namespace, space)).MaxBy(type => type.Namespace.Length);
        return around is not null ? [around] : [.. all.Where(type => imported.Contains(type.Namespace))];
    }

    private static bool IsAround(string outer, string space) =>
        outer.Length == 0 || space == outer || space.StartsWith(outer + ".", StringComparison.Ordinal);

    private static ExpressionSyntax? QualifierOf(SimpleNameSyntax name) => name.Parent switch
    {
        QualifiedNameSyntax qualified when qualified.Right == name => qualified.Left,
        AliasQualifiedNameSyntax alias when alias.Name == name => alias.Alias,
        MemberAccessExpressionSyntax access when access.Name == name => access.Expression,
        _ => null,
    };

    private static bool IsSpace(string space, string qualifier, string around)
    {
        string written = qualifier.Replace("global::", "", StringComparison.Ordinal);
        if (space == written) return true;
        return space.EndsWith("." + written, StringComparison.Ordinal)
            && (around + ".").StartsWith(space[..^written.Length], StringComparison.Ordinal);
    }

    // x: in an argument or a pattern, X = in an initializer, a label, a declared alias.
    private static bool IsOtherwiseNamed(SimpleNameSyntax name) => name.Parent switch
    {
        NameColonSyntax or NameEqualsSyntax or GotoStatementSyntax => true,
        ExpressionColonSyntax => true,
        AssignmentExpressionSyntax assignment => assignment.Left == name && assignment.Parent is InitializerExpressionSyntax,
        BaseNamespaceDeclarationSyntax => true,
        _ => false,
    };

    private bool IsShadowed(SimpleNameSyntax name, string text)
    {
        bool typeOnly = SyntaxFacts.IsInTypeOnlyContext(name) || name.Parent is AttributeSyntax;
        foreach (SyntaxNode around in name.Ancestors())
        {
            TypeParameterListSyntax? parameters = around switch
            {
                MethodDeclarationSyntax method => method.TypeParameterList,
                LocalFunctionStatementSyntax local => local.TypeParameterList,
                TypeDeclarationSyntax declared => declared.TypeParameterList,
                DelegateDeclarationSyntax declared => declared.TypeParameterList,
                _ => null,
            };
            if (parameters?.Parameters.Any(parameter => parameter.Identifier.ValueText == text) == true) return true;
            if (around is not TypeDeclarationSyntax type) continue;
            bool nested = type.Parent is TypeDeclarationSyntax;
            if (nested ? NestedMeans(type, text, typeOnly) : Means(_index.Find(type), text, typeOnly, [])) return true;
        }

        return false;
    }

    private static bool NestedMeans(TypeDeclarationSyntax type, string text, bool typeOnly) => type.Members.Any(member => member switch
    {
        BaseTypeDeclarationSyntax nested => nested.Identifier.ValueText == text,
        PropertyDeclarationSyntax property => !typeOnly && property.Identifier.ValueText == text,
        MethodDeclarationSyntax method => !typeOnly && method.Identifier.ValueText == text,
        BaseFieldDeclarationSyntax field => !typeOnly && field.Declaration.Variables.Any(variable => variable.Identifier.ValueText == text),
        _ => false,
    }) || (!typeOnly && type is RecordDeclarationSyntax && type.ParameterList?.Parameters.Any(p => p.Identifier.ValueText == text) == true);

    // The bases are searched as well: what they declare is known inside.
    private bool Means(DeclaredType? type, string text, bool typeOnly, HashSet<DeclaredType> seen)
    {
        if (type is null || !seen.Add(type)) return false;
        if (type.NestedTypes.Contains(text) || (!typeOnly && type.Members.Contains(text))) return true;
        return type.Bases.Any(name => _index.ByName[name].Any(b => Means(b, text, typeOnly, seen)));
    }
}
