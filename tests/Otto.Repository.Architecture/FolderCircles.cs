namespace Otto.Repository.Architecture;

// Folders are compared at every depth: A/X with B/Y as A with B, and A/X with A/Y as X with Y. The files directly in a folder are a branch
// of their own beside its subfolders. A circle of folders at any depth is a circle between the branches of the nearest folder around them
// all, so every circle is found.

internal static class FolderCircles
{
    public static Measurement Pairs(SourceProject project)
    {
        List<string> offenders = [];
        var pairs = Levels(project).SelectMany(PairsOf).OrderBy(pair => Math.Min(pair.There.Count, pair.Back.Count));
        foreach (var (a, b, there, back) in pairs)
        {
            offenders.Add($"{a} <-> {b} ({there.Count} and {back.Count} arrows)");
            bool thereFewer = there.Count <= back.Count;
            foreach (Arrow arrow in thereFewer ? there : back) offenders.Add($"    {Text(arrow)}");
        }

        return new Measurement(offenders.Count(line => !line.StartsWith(' ')), offenders);
    }

    public static Measurement Members(SourceProject project)
    {
        List<string> offenders = [];
        int folders = 0;
        foreach (IReadOnlyList<FolderArrow> level in Levels(project))
        {
            foreach (IReadOnlyList<string> circle in CirclesOf(level))
            {
                folders += circle.Count;
                offenders.Add($"circle of {circle.Count} folders: {string.Join(", ", circle.Order(StringComparer.Ordinal))}");
                offenders.AddRange(level.Where(arrow => circle.Contains(arrow.From) && circle.Contains(arrow.To))
                    .GroupBy(arrow => (arrow.From, arrow.To))
                    .OrderBy(pair => pair.Count())
                    .Select(pair => $"    {pair.Key.From} -> {pair.Key.To}: {pair.Count()} arrows, as {Text(pair.First().Arrow)}"));
            }
        }

        return new Measurement(folders, offenders);
    }

    internal static string Text(Arrow arrow) => $"{arrow.From.Path}:{arrow.Line} names {arrow.Type} ({arrow.To.Name})";

    private sealed record FolderArrow(string From, string To, Arrow Arrow);

    // The arrows between the branches of each folder, at every depth.
    private static IEnumerable<IReadOnlyList<FolderArrow>> Levels(SourceProject project) => project.References.Arrows
        .Where(arrow => arrow.From.Folder != arrow.To.Folder)
        .GroupBy(arrow => Around(arrow.From.Folder, arrow.To.Folder))
        .OrderBy(level => level.Key, StringComparer.Ordinal)
        .Select(level => (IReadOnlyList<FolderArrow>)
            [.. level.Select(arrow => new FolderArrow(Branch(level.Key, arrow.From.Folder), Branch(level.Key, arrow.To.Folder), arrow))]);

    private static IEnumerable<IReadOnlyList<string>> CirclesOf(IReadOnlyList<FolderArrow> level) =>
        Circles.Find(level.SelectMany(arrow => new[] { arrow.From, arrow.To }).Distinct(), level.Select(arrow => (arrow.From, arrow.To)));

    private static IEnumerable<(string A, string B, List<Arrow> There, List<Arrow> Back)> PairsOf(IReadOnlyList<FolderArrow> level)
    {
        ILookup<(string, string), Arrow> arrows = level.ToLookup(arrow => (arrow.From, arrow.To), arrow => arrow.Arrow);
        return arrows.Select(pair => pair.Key)
            .Where(pair => string.CompareOrdinal(pair.Item1, pair.Item2) < 0 && arrows.Contains((pair.Item2, pair.Item1)))
            .Select(pair => (pair.Item1, pair.Item2, arrows[pair].ToList(), arrows[(pair.Item2, pair.Item1)].ToList()));
    }

    private static string Around(string a, string b)
    {
        IEnumerable<string> shared = Parts(a).Zip(Parts(b)).TakeWhile(pair => pair.First == pair.Second).Select(pair => pair.First);
        return string.Join('/', shared);
    }

    private static string Branch(string around, string folder)
    {
        if (folder == around) return around.Length == 0 ? "(root)" : $"{around}/(root)";
        return string.Join('/', Parts(folder).Take(Parts(around).Length + 1));
    }

    private static string[] Parts(string folder) => folder.Length == 0 ? [] : folder.Split('/');
}
