namespace Otto.Repository.Architecture;

/// <summary>What a rule found in a project: its number, and a line for each offender.</summary>
public sealed record Measurement(int Number, IReadOnlyList<string> Offenders);

/// <summary>A rule of the gate. It has a number in each project that it applies to, and a goal for it.</summary>
public sealed class Rule(string name, int goal, string counts, string wayOut, string[] tops, Func<SourceProject, Measurement> measure)
{
    public string Name => name;

    public int Goal => goal;

    /// <summary>What the number counts.</summary>
    public string Counts => counts;

    public string WayOut => wayOut;

    public bool AppliesTo(SourceProject project) => tops.Contains(project.Top);

    public Measurement Measure(SourceProject project) => measure(project);
}

/// <summary>The rules that hold for this repository.</summary>
public static class Rules
{
    private static readonly string[] Products = ["src", "tools"], Code = ["src", "tools", "tests", "benchmarks", "examples"];

    public static IReadOnlyList<Rule> All(StyleSheet style) =>
    [
        new("folder-pairs", 0, "pairs of folders whose files name types of each other",
            "move a type to the lower folder, or pass what the lower folder needs as a value, a delegate or an interface that it declares",
            Products, FolderCircles.Pairs),
        new("folder-circles", 0, "folders that are part of a circle of folders",
            "cut the arrows that point up; eng/architecture folders PROJECT lists them",
            Products, FolderCircles.Members),
        new("file-circle", 5, "files in the largest circle of files",
            "give a collaborator the values that it uses instead of its owner; eng/architecture circles PROJECT lists what to cut",
            Products, FileCircles.Largest),
        new("platform", 0, "files outside a folder Platform that speak of an operating system",
            "move the call to src/Otto.Ipc/Platform, behind a contract that names no system",
            Products, PlatformWords.Measure),
        new("lines", 0, $"lines of over {LongLines.Limit} columns",
            "break the line; a local variable with a good name is often the best place",
            Code, LongLines.Any),
        new("doc-lines", 0, $"lines of over {LongLines.DocumentationLimit} columns in XML docs",
            "break the line",
            Code, LongLines.Documentation),
        new("words", 0, "rejected words in XML docs (src), string literals (tools) or README.md",
            "write what docs/style.md has in the second column of the table",
            ["src", "tools", "README.md"], project => RejectedWords.Measure(project, style)),
        new("message-words", 0, "rejected words in string literals (error messages, log messages)",
            "write what docs/style.md has in the second column of the table",
            ["src"], project => RejectedWords.MeasureMessages(project, style)),
    ];
}
