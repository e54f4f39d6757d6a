using System.Text.Json;

namespace Otto.Repository.Architecture;

/// <summary>
/// The number that a project may still have: rule, project, number. Without an entry the goal of the rule holds.
/// </summary>
public sealed class Ceilings(IReadOnlyDictionary<string, SortedDictionary<string, int>> numbers)
{
    public const string FileName = "tests/Otto.Repository.Tests/Architecture/ceilings.json";

    private const int LongestMessage = 40;
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true };

    public static Ceilings Parse(string json) => new(JsonSerializer.Deserialize<Dictionary<string, SortedDictionary<string, int>>>(json)!);

    public int Of(Rule rule, string project) =>
        numbers.TryGetValue(rule.Name, out var projects) && projects.TryGetValue(project, out int number) ? number : rule.Goal;

    /// <summary>The entries without a rule or a project, and those that are not above the goal.</summary>
    public IEnumerable<string> Stale(SourceTree tree, IReadOnlyList<Rule> rules)
    {
        foreach (var (name, projects) in numbers)
        {
            Rule? rule = rules.FirstOrDefault(rule => rule.Name == name);
            foreach (var (project, number) in projects)
            {
                if (rule is null || !tree.Projects.Any(p => p.Name == project && rule.AppliesTo(p)))
                    yield return $"{name} of {project}: no such rule or project";
                else if (number <= rule.Goal)
                    yield return $"{name} of {project}: {number} is not above the goal of {rule.Goal}";
            }
        }
    }

    /// <summary>What is wrong with a number, in at most 40 lines; null if it is as the ceiling says.</summary>
    public string? Judge(Rule rule, string project, Measurement measured)
    {
        int ceiling = Of(rule, project);
        int number = Math.Max(measured.Number, rule.Goal);
        if (number == ceiling) return null;
        string count = $"{project}: {measured.Number} {rule.Counts}";
        if (number < ceiling)
            return $"{count}, and the ceiling is still {ceiling}. Lower it to {number}: eng/architecture lower writes {FileName}";
        List<string> lines = [$"{count}; at most {ceiling} are allowed (the goal is {rule.Goal}).", $"The way out: {rule.WayOut}."];
        int room = LongestMessage - lines.Count - 1;
        lines.AddRange(measured.Offenders.Take(room).Select(line => line.Length <= 200 ? line : $"{line[..200]}…"));
        int more = measured.Offenders.Count - room;
        if (more > 0) lines.Add($"and {more} more lines: eng/architecture {rule.Name} {project}");
        return string.Join('\n', lines);
    }

    /// <summary>The ceilings of today's numbers: none is raised, and what meets its goal has no entry.</summary>
    public Ceilings Lowered(SourceTree tree, IReadOnlyList<Rule> rules)
    {
        Dictionary<string, SortedDictionary<string, int>> lowered = [];
        foreach (Rule rule in rules)
        {
            SortedDictionary<string, int> projects = new(StringComparer.Ordinal);
            foreach (SourceProject project in tree.Projects.Where(rule.AppliesTo))
            {
                int number = Math.Min(rule.Measure(project).Number, Of(rule, project.Name));
                if (number > rule.Goal) projects[project.Name] = number;
            }

            lowered[rule.Name] = projects;
        }

        return new Ceilings(lowered);
    }

    public string ToJson() => JsonSerializer.Serialize(numbers, Format) + "\n";
}
