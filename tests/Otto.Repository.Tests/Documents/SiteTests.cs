using Otto.Repository.Site;

namespace Otto.Repository.Tests.Documents;

// eng/docs, and what its pages link to.

[TestFixture]
internal sealed class SiteTests
{
    private string _directory = "";

    [OneTimeSetUp]
    public void BuildSite()
    {
        _directory = Directory.CreateTempSubdirectory("otto-site-test-").FullName;
        // The libraries were built with this test.
        Repository.Run(Repository.Root, Repository.PathOf("eng/docs"), "--no-build", "--output", PathOf("site"));
    }

    [OneTimeTearDown]
    public void RemoveSite() => Directory.Delete(_directory, recursive: true);

    [Test]
    public void No_link_is_broken_and_nothing_is_loaded_from_the_network()
    {
        var (links, broken) = SiteLinks.Check(PathOf("site"));
        Assert.That(broken, Is.Empty);
        Assert.That(links, Is.GreaterThan(5000));
    }

    [Test]
    public void Every_guide_and_every_library_has_a_page()
    {
        string guides = File.ReadAllText(PathOf("site/docs/guides/toc.html"));
        foreach (string guide in Directory.EnumerateFiles(Repository.PathOf("docs/guides"), "*.md"))
            Assert.That(guides, Does.Contain($"\"{Path.GetFileNameWithoutExtension(guide)}.html\""));
        string reference = File.ReadAllText(PathOf("site/docs/toc.html"));
        foreach (string page in Directory.EnumerateFiles(Repository.PathOf("docs"), "*.md"))
            Assert.That(reference, Does.Contain($"\"{Path.GetFileNameWithoutExtension(page)}.html\""));
        foreach (string library in Directory.EnumerateDirectories(Repository.PathOf("src")))
        {
            // A library may put its types into the namespace of another one.
            string[] types = [.. Directory.EnumerateFiles(library, "*.cs", SearchOption.AllDirectories)
                .Select(file => Path.GetFileNameWithoutExtension(file))];
            Assert.That(types.Any(type => Directory.EnumerateFiles(PathOf("site/api"), $"*.{type}.html").Any()), $"a page for {library}");
        }
    }

    [Test]
    public void The_search_index_holds_guides_and_types()
    {
        string index = File.ReadAllText(PathOf("site/index.json"));
        Assert.That(index, Does.Contain("docs/guides/survive-a-crash.html").And.Contain("api/Otto.Queue.TaskQueue.html"));
    }

    [Test]
    public void Planted_links_are_caught()
    {
        string planted = Directory.CreateDirectory(PathOf("planted")).FullName;
        string page = File.ReadAllText(PathOf("site/docs/glossary.html"));
        const string fine = """<h2 id="here">x</h2><a href="#here">x</a><a href="https://example.org/">x</a>""";
        File.WriteAllText(Path.Combine(planted, "fine.html"), fine);
        var (links, broken) = SiteLinks.Check(planted);
        Assert.That(broken, Is.Empty);
        Assert.That(links, Is.EqualTo(2));

        (string, string)[] plants =
        [
            ("""<a class="x" href="no-page.html">""", "no such file"),
            ("""<a href="fine.html#gone">""", "no such anchor"),
            ("""<a id="a" href="#b">""", "no such anchor"),
            ("""<img src="https://example.org/x.png">""", "loaded from the network"),
            ("""<script src="//cdn.example.org/x.js"></script>""", "loaded from the network"),
            ("""<a href="../../etc/passwd">""", "outside of the site"),
        ];
        foreach ((string html, string problem) in plants)
        {
            File.WriteAllText(Path.Combine(planted, "page.html"), html);
            Assert.That(SiteLinks.Check(planted).Broken, Has.Some.Contains(problem), html);
        }

        // A real page without the pages that it links to.
        File.WriteAllText(Path.Combine(planted, "page.html"), page);
        Assert.That(SiteLinks.Check(planted).Broken, Has.Some.Contains("no such file"));
    }

    private string PathOf(string relative) => Path.Combine(_directory, relative);
}
