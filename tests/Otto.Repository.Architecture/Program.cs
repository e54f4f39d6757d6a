using Otto.Repository.Architecture;

// eng/architecture: the numbers of the gate and what stands behind them, without a test run. It runs in the root of the repository.

const string usage = """
    usage: eng/architecture [numbers|folders|circles|platform|lines|words|check] [PROJECT]
           eng/architecture lower

      (none)    the numbers, and then all of the following
      numbers   a table: project, rule, number, ceiling, goal
      folders   circles of folders, and the arrows that make them
      circles   the largest circle of files: members, what to cut, arrows
      platform  files outside a folder Platform that speak of an operating system
      lines     lines of over 140 columns, and of over 120 in XML docs
      words     rejected words in XML docs, messages, help texts and README.md
      check     what the gate says; exit code 1 if it fails
      lower     lowers the ceilings to today's numbers

    PROJECT is a folder (src/Otto.Queue) or its last name (Otto.Queue).
    """;

Dictionary<string, string[]> verbs = new()
{
    ["folders"] = ["folder-pairs", "folder-circles"],
    ["circles"] = ["file-circle"],
    ["platform"] = ["platform"],
    ["lines"] = ["lines", "doc-lines"],
    ["words"] = ["words", "message-words"],
};
string verb = args.ElementAtOrDefault(0) ?? "";
bool isProject = verb.Contains('/', StringComparison.Ordinal) || verb.StartsWith("Otto.", StringComparison.OrdinalIgnoreCase);
string? wanted = isProject ? verb : args.ElementAtOrDefault(1);
if (isProject) verb = "";

IReadOnlyList<Rule> rules = Rules.All(StyleSheet.Parse(File.ReadAllText("docs/style.md")));
foreach (Rule rule in rules) verbs.TryAdd(rule.Name, [rule.Name]);
if (args.Length > 2 || !(verb is "" or "numbers" or "check" or "lower" || verbs.ContainsKey(verb)))
{
    Console.Error.WriteLine(usage);
    return 2;
}

const StringComparison ignoreCase = StringComparison.OrdinalIgnoreCase;
SourceTree tree = SourceTree.Read(".");
string ending = $"/{wanted?.TrimEnd('/')}";
List<SourceProject> projects = [.. tree.Projects.Where(project => wanted is null || $"/{project.Name}".EndsWith(ending, ignoreCase))];
if (projects.Count == 0)
{
    Console.Error.WriteLine($"eng/architecture: no project {wanted}; the projects are");
    foreach (SourceProject project in tree.Projects) Console.Error.WriteLine($"  {project.Name}");
    return 2;
}

Ceilings ceilings = Ceilings.Parse(File.ReadAllText(Ceilings.FileName));
switch (verb)
{
    case "lower":
        File.WriteAllText(Ceilings.FileName, ceilings.Lowered(tree, rules).ToJson());
        return 0;
    case "check":
        var judged = from project in projects
                     from rule in rules
                     where rule.AppliesTo(project)
                     select ceilings.Judge(rule, project.Name, rule.Measure(project));
        List<string> complaints = [.. judged.OfType<string>()];
        if (wanted is null) complaints.AddRange(ceilings.Stale(tree, rules));
        foreach (string complaint in complaints) Console.WriteLine(complaint);
        return complaints.Count == 0 ? 0 : 1;
}

if (verb is "" or "numbers")
{
    Console.WriteLine($"{"project",-36} {"rule",-16} {"now",6} {"ceiling",8} {"goal",5}");
    foreach (SourceProject project in projects)
    {
        foreach (Rule rule in rules.Where(rule => rule.AppliesTo(project)))
        {
            int now = rule.Measure(project).Number, ceiling = ceilings.Of(rule, project.Name);
            if (now > rule.Goal || ceiling > rule.Goal)
                Console.WriteLine($"{project.Name,-36} {rule.Name,-16} {now,6} {ceiling,8} {rule.Goal,5}");
        }
    }
}

if (verb == "numbers") return 0;
foreach (Rule rule in rules.Where(rule => verb == "" || verbs[verb].Contains(rule.Name)))
{
    foreach (SourceProject project in projects.Where(rule.AppliesTo))
    {
        Measurement measured = rule.Measure(project);
        if (measured.Number == 0) continue;
        Console.WriteLine($"\n{project.Name}: {measured.Number} {rule.Counts}");
        foreach (string line in measured.Offenders) Console.WriteLine($"  {line}");
    }
}

return 0;
