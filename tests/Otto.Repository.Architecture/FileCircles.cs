namespace Otto.Repository.Architecture;

internal static class FileCircles
{
    /// <summary>The largest circle of files: its members, what to cut, and all arrows inside.</summary>
    public static Measurement Largest(SourceProject project)
    {
        ReferenceGraph references = project.References;
        IReadOnlyList<IReadOnlyList<SourceFile>> circles = references.FileCircles();
        if (circles.Count == 0) return new Measurement(0, []);
        IReadOnlyList<SourceFile> circle = circles[0];
        List<string> offenders = [$"circle of {circle.Count} files, {circle.Sum(file => file.Lines.Count())} lines:"];
        offenders.AddRange(InColumns(circle.Select(file => file.Name)));
        var cuts = references.Cuts(circle).Take(8).ToList();
        if (cuts.Count > 0) offenders.Add("what cutting one arrow leaves:");
        offenders.AddRange(cuts.Select(cut => $"    {cut.Files} files without {FolderCircles.Text(cut.Arrow)}"));
        offenders.Add("arrows inside:");
        offenders.AddRange(references.ArrowsInside(circle).GroupBy(arrow => arrow.From).OrderBy(file => file.Count())
            .Select(file => $"    {file.Key.Name} -> {string.Join(", ", file.Select(arrow => $"{arrow.Type}:{arrow.Line}").Distinct())}"));
        foreach (IReadOnlyList<SourceFile> other in circles.Skip(1))
            offenders.Add($"also a circle: {string.Join(", ", other.Select(file => file.Name))}");
        return new Measurement(circle.Count, offenders);
    }

    private static IEnumerable<string> InColumns(IEnumerable<string> names)
    {
        string line = "";
        foreach (string name in names)
        {
            if (line.Length + name.Length > 120)
            {
                yield return $"    {line}";
                line = "";
            }

            line += line.Length == 0 ? name : $", {name}";
        }

        yield return $"    {line}";
    }
}
