using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Architecture;

public sealed class CeilingTests
{
    private static readonly (string, string) Long = ("src/P/A.cs", string.Concat(Enumerable.Repeat(new string('/', 150) + "\n", 60)));

    private static Ceilings Parse(string rule, string project, int number) =>
        Ceilings.Parse($$"""{ "{{rule}}": { "{{project}}": {{number}} } }""");

    [Test]
    public void A_number_over_its_ceiling_fails_with_offenders_and_the_way_out_in_forty_lines()
    {
        string complaint = Parse("lines", "src/P", 59).Judge(Planted.Rule("lines"), "src/P", Planted.Measure("lines", Long))!;
        string[] lines = complaint.Split('\n');
        Assert.That(lines[0], Is.EqualTo("src/P: 60 lines of over 140 columns; at most 59 are allowed (the goal is 0)."));
        Assert.That(lines[1], Does.StartWith("The way out: break the line"));
        Assert.That(lines, Has.Length.EqualTo(40));
        Assert.That(lines[2], Is.EqualTo("src/P/A.cs:1 has 150 columns"));
        Assert.That(lines[^1], Is.EqualTo("and 23 more lines: eng/architecture lines src/P"));
    }

    [Test]
    public void A_number_below_its_ceiling_fails_with_the_number_to_write()
    {
        string complaint = Parse("lines", "src/P", 61).Judge(Planted.Rule("lines"), "src/P", Planted.Measure("lines", Long))!;
        Assert.That(complaint, Does.Contain("Lower it to 60").And.Contains(Ceilings.FileName));
    }

    [Test]
    public void A_number_at_its_ceiling_passes() =>
        Assert.That(Parse("lines", "src/P", 60).Judge(Planted.Rule("lines"), "src/P", Planted.Measure("lines", Long)), Is.Null);

    [TestCase(0)]
    [TestCase(5)]
    public void A_number_within_the_goal_needs_no_ceiling(int files)
    {
        Measurement measured = Planted.Measure("file-circle", [.. Planted.Ring(files), ("src/P/Z.cs", "")]);
        Assert.That(measured.Number, Is.EqualTo(files));
        Assert.That(Ceilings.Parse("{}").Judge(Planted.Rule("file-circle"), "src/P", measured), Is.Null);
    }

    [Test]
    public void A_ceiling_without_a_project_or_a_use_is_stale()
    {
        SourceTree tree = Planted.Tree(Long);
        IReadOnlyList<Rule> rules = Rules.All(Planted.Style);
        Assert.That(Parse("lines", "src/P", 60).Stale(tree, rules), Is.Empty);
        Assert.That(Parse("lines", "src/Gone", 60).Stale(tree, rules), Has.Exactly(1).Items);
        Assert.That(Parse("no-rule", "src/P", 60).Stale(tree, rules), Has.Exactly(1).Items);
        Assert.That(Parse("file-circle", "src/P", 5).Stale(tree, rules), Has.Exactly(1).Items);
    }

    [Test]
    public void Lowering_raises_nothing_and_drops_what_meets_the_goal()
    {
        SourceTree tree = Planted.Tree(Long, ("src/Q/A.cs", ""));
        Ceilings lowered = Ceilings.Parse("""{ "lines": { "src/P": 70, "src/Q": 3 } }""").Lowered(tree, Rules.All(Planted.Style));
        Assert.That((lowered.Of(Planted.Rule("lines"), "src/P"), lowered.Of(Planted.Rule("lines"), "src/Q")), Is.EqualTo((60, 0)));
        Assert.That(Parse("lines", "src/P", 50).Lowered(tree, Rules.All(Planted.Style)).Of(Planted.Rule("lines"), "src/P"), Is.EqualTo(50));
        Assert.That(lowered.ToJson(), Does.Contain("\"src/P\": 60").And.Not.Contains("src/Q"));
    }

    [Test]
    public void A_tree_on_disk_is_read_without_what_a_build_leaves()
    {
        DirectoryInfo root = Directory.CreateTempSubdirectory("otto-architecture-");
        try
        {
            string[] paths = ["README.md", "src/P/A.cs", "src/P/X/B.cs", "src/P/P.csproj", "tools/shared/F.cs"];
            foreach (string path in paths.Concat(["src/P/obj/C.cs", "src/P/bin/D.cs", "docs/E.cs"]))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(root.FullName, path))!);
                File.WriteAllText(Path.Combine(root.FullName, path), "class A;");
            }

            SourceTree tree = SourceTree.Read(root.FullName);
            Assert.That(tree.Files.Select(file => file.Path), Is.EqualTo(paths.Where(path => path != "src/P/P.csproj")));
            Assert.That(tree.Projects.Select(project => project.Name), Is.EqualTo(new[] { "README.md", "src/P", "tools/shared" }));
            Assert.That(tree.Files[2].Folder, Is.EqualTo("X"));
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }
}
