using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

// A small tree with a violation that a rule must find, or with something alike that it must not.

internal static class Planted
{
    private const string Table = "| instead of | write |\n| --- | --- |\n| `nobody` | no process |\n| `false where`, `goes by` | if |\n";

    public static StyleSheet Style { get; } = StyleSheet.Parse(Table);

    public static SourceTree Tree(params (string Path, string Text)[] files) =>
        new(files.Select(file => new SourceFile(file.Path, file.Text)));

    public static Rule Rule(string name) => Rules.All(Style).Single(rule => rule.Name == name);

    public static Measurement Measure(string rule, params (string Path, string Text)[] files)
    {
        SourceProject project = Tree(files).Projects.Single(project => Rule(rule).AppliesTo(project));
        return Rule(rule).Measure(project);
    }

    /// <summary>Types T1 to Tn of the project src/P, one per file. Each names the next, and
    /// the last names the first.</summary>
    public static (string Path, string Text)[] Ring(int files) =>
        [.. Enumerable.Range(1, files).Select(i => ($"src/P/T{i}.cs", $"class T{i} {{ T{i % files + 1} _next; }}"))];
}
