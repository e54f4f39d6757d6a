using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

// The architecture gate: each rule has a number in each project, and a ceiling for it. A number above its ceiling fails. A number below it
// fails as well, until eng/architecture lower has lowered the ceiling. eng/architecture shows the same without a test run.

public sealed class ArchitectureTests
{
    private static readonly IReadOnlyList<Rule> All = Rules.All(StyleSheet.Parse(File.ReadAllText(Repository.PathOf("docs/style.md"))));
    private static readonly SourceTree Tree = SourceTree.Read(Repository.Root);
    private static readonly Ceilings Allowed = Ceilings.Parse(File.ReadAllText(Repository.PathOf(Ceilings.FileName)));

    private static IEnumerable<TestCaseData> Cases() =>
        from rule in All
        from project in Tree.Projects.Where(rule.AppliesTo)
        select new TestCaseData(rule, project).SetName($"{rule.Name} of {project.Name} is at its ceiling");

    [TestCaseSource(nameof(Cases))]
    public void A_number_is_at_its_ceiling(Rule rule, SourceProject project)
    {
        string? complaint = Allowed.Judge(rule, project.Name, rule.Measure(project));
        if (complaint is not null) Assert.Fail(complaint);
    }

    [Test]
    public void Every_ceiling_belongs_to_a_rule_and_a_project_and_is_above_the_goal() =>
        Assert.That(Allowed.Stale(Tree, All), Is.Empty);

    [Test]
    public void The_sources_are_found() =>
        Assert.That(Tree.Projects.Select(project => project.Top).Distinct(),
            Is.EquivalentTo(new[] { "src", "tools", "tests", "benchmarks", "examples", "README.md" }));
}
