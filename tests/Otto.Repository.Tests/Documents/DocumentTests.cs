using System.Text.RegularExpressions;

namespace Otto.Repository.Tests.Documents;

// What the documents point at is there.

public sealed partial class DocumentTests
{
    private static IEnumerable<string> Documents() =>
        Directory.EnumerateFiles(Repository.PathOf("docs"), "*.md", SearchOption.AllDirectories)
            .Concat(new[] { "README.md", "CONTRIBUTING.md", "SECURITY.md" }.Select(Repository.PathOf))
            .Select(path => Path.GetRelativePath(Repository.Root, path));

    [TestCaseSource(nameof(Documents))]
    public void Every_link_leads_somewhere(string document)
    {
        string path = Repository.PathOf(document), text = File.ReadAllText(path);
        foreach (Match link in Link().Matches(text))
        {
            string[] parts = link.Groups[1].Value.Split('#');
            if (parts[0].Contains("://", StringComparison.Ordinal)) continue;
            string target = parts[0].Length == 0 ? path : Path.Combine(Path.GetDirectoryName(path)!, parts[0]);
            Assert.That(Path.Exists(target), $"{document} links to {parts[0]}");
            if (parts.Length == 1) continue;
            Assert.That(Anchors(File.ReadAllText(target)), Does.Contain(parts[1]), $"{document} links to {link.Groups[1].Value}");
        }
    }

    [Test]
    public void The_index_lists_every_decision_and_every_result()
    {
        foreach (string folder in (string[])["docs/decisions", "benchmarks/results"])
        {
            string index = File.ReadAllText(Repository.PathOf($"{folder}/README.md"));
            foreach (string path in Directory.EnumerateFiles(Repository.PathOf(folder), "*.md"))
            {
                string page = Path.GetFileName(path);
                if (page != "README.md") Assert.That(index, Does.Contain($"]({page})"), $"{folder}/README.md");
            }
        }
    }

    [Test]
    public void Anchors_are_what_a_page_makes_of_its_headings()
    {
        const string page = "# The `otto` tool\n```sh\n# no heading\n```\n## Shells: otto pipe\n## Size limits\n### Size limits\n";
        Assert.That(Anchors(page), Is.EqualTo(new[] { "the-otto-tool", "shells-otto-pipe", "size-limits", "size-limits-1" }));
    }

    [TestCaseSource(nameof(Documents))]
    public void Every_source_file_that_is_named_exists(string document)
    {
        string text = File.ReadAllText(Repository.PathOf(document));
        foreach (Match named in SourceFile().Matches(text))
            Assert.That(Path.Exists(Repository.PathOf(named.Value)), $"{document} names {named.Value}");
    }

    // As GitHub makes them: lower case, without punctuation, hyphens for spaces, numbered where a heading comes again.
    private static List<string> Anchors(string text)
    {
        List<string> anchors = [];
        Dictionary<string, int> seen = [];
        foreach (Match heading in Heading().Matches(Fence().Replace(text, "")))
        {
            string anchor = Punctuation().Replace(heading.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-');
            int times = seen[anchor] = seen.GetValueOrDefault(anchor) + 1;
            anchors.Add(times == 1 ? anchor : $"{anchor}-{times - 1}");
        }

        return anchors;
    }

    [GeneratedRegex(@"^#{1,6} (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();

    [GeneratedRegex("""\]\(([^)\s]+)(?: "[^"]*")?\)""")]
    private static partial Regex Link();

    [GeneratedRegex(@"\b(src|tools|tests|benchmarks|eng)/[A-Za-z0-9_./-]+\.(cs|csproj|md|sh|txt)\b")]
    private static partial Regex SourceFile();
}
