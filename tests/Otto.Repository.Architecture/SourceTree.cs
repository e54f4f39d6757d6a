namespace Otto.Repository.Architecture;

/// <summary>The sources of a checkout, or of a small tree that a test makes.</summary>
public sealed class SourceTree(IEnumerable<SourceFile> files)
{
    private static readonly string[] Tops = ["src", "tools", "tests", "benchmarks", "examples"];

    public IReadOnlyList<SourceFile> Files { get; } = [.. files.OrderBy(file => file.Path, StringComparer.Ordinal)];

    /// <summary>The projects, and what belongs to each. README.md is a project of its own.</summary>
    public IReadOnlyList<SourceProject> Projects => field ??=
    [
        .. Files.GroupBy(file => file.IsCode ? file.Project : file.Path)
            .Select(group => new SourceProject(group.Key, [.. group]))
            .OrderBy(project => project.Name, StringComparer.Ordinal),
    ];

    /// <summary>Reads the C# files of src, tools, tests, benchmarks and examples, and README.md.</summary>
    public static SourceTree Read(string root)
    {
        List<string> paths = [Path.Combine(root, "README.md")];
        foreach (string top in Tops) Collect(Path.Combine(root, top), paths);
        return new SourceTree(paths.Select(path => new SourceFile(Relative(path), File.ReadAllText(path))));

        string Relative(string path) => Path.GetRelativePath(root, path).Replace('\\', '/');
    }

    private static void Collect(string folder, List<string> paths)
    {
        if (!Directory.Exists(folder)) return;
        paths.AddRange(Directory.EnumerateFiles(folder, "*.cs"));
        foreach (string child in Directory.EnumerateDirectories(folder))
        {
            if (Path.GetFileName(child) is not ("bin" or "obj")) Collect(child, paths);
        }
    }
}

/// <summary>The files that are compiled as one.</summary>
public sealed record SourceProject(string Name, IReadOnlyList<SourceFile> Files)
{
    /// <summary>src, tools, tests, benchmarks, examples; or README.md.</summary>
    public string Top { get; } = Name.Split('/')[0];

    /// <summary>Who names whom inside the project.</summary>
    public ReferenceGraph References => field ??= ReferenceGraph.Of(Files);

    public bool Equals(SourceProject? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);
}
