using System.Text.RegularExpressions;
using Otto.Repository.Architecture;

namespace Otto.Repository.Tests.Documents;

// The words of the pages: the same table of docs/style.md as for XML docs and README.md. Decisions are history and keep theirs, and so does
// what a program writes into a page.

public sealed partial class PageWordTests
{
    private static readonly StyleSheet Style = StyleSheet.Parse(File.ReadAllText(Repository.PathOf("docs/style.md")));
    private static readonly Rule Words = Rules.All(Style).Single(static rule => rule.Name == "words");

    private static IEnumerable<string> Pages() =>
        from folder in (string[])["docs", "docs/guides"]
        from path in Directory.EnumerateFiles(Repository.PathOf(folder), "*.md")
        let page = Path.GetRelativePath(Repository.Root, path)
        where page != "docs/style.md"
        orderby page
        select page;

    [TestCaseSource(nameof(Pages))]
    public void A_page_has_no_rejected_word(string page) => Assert.That(Find(page, File.ReadAllText(Repository.PathOf(page))), Is.Empty);

    [Test]
    public void A_planted_word_is_caught() =>
        Assert.That(Find("docs/planted.md", "# Page\n\nIt returns `false` where nobody listens.\n"), Has.Count.EqualTo(2));

    private static IReadOnlyList<string> Find(string path, string text) =>
        Words.Measure(new SourceProject(path, [new SourceFile(path, Generated().Replace(text, ""))])).Offenders;

    [GeneratedRegex(@"<!-- [\w-]+: [\w -]+ -->.*?<!-- (?:/\w+|end) -->", RegexOptions.Singleline)]
    private static partial Regex Generated();
}
