namespace Otto.Repository.Architecture;

internal static class LongLines
{
    public const int Limit = 140, DocumentationLimit = 120;

    public static Measurement Any(SourceProject project) => Measure(project, Limit, _ => true);

    public static Measurement Documentation(SourceProject project) =>
        Measure(project, DocumentationLimit, line => line.AsSpan().TrimStart().StartsWith("///", StringComparison.Ordinal));

    private static Measurement Measure(SourceProject project, int limit, Func<string, bool> counts)
    {
        List<string> offenders = [];
        foreach (SourceFile file in project.Files)
        {
            int number = 0;
            foreach (string line in file.Lines)
            {
                number++;
                if (line.Length > limit && counts(line)) offenders.Add($"{file.Path}:{number} has {line.Length} columns");
            }
        }

        return new Measurement(offenders.Count, offenders);
    }
}
