using System.Text.RegularExpressions;

namespace Otto.Repository.Tests;

// What the documents point at is there.

public sealed partial class DocumentTests
{
    private static IEnumerable<string> Documents() =>
        Directory.EnumerateFiles(Repository.PathOf("docs"), "*.md", SearchOption.AllDirectories)
            .Append(Repository.PathOf("README.md"))
            .Select(path => Path.GetRelativePath(Repository.Root, path));

    [TestCaseSource(nameof(Documents))]
    public void Every_link_leads_somewhere(string document)
    {
        string path = Repository.PathOf(document), text = File.ReadAllText(path);
        foreach (Match link in Link().Matches(text))
        {
            string target = link.Groups[1].Value.Split('#')[0];
            if (target.Length == 0 || target.Contains("://", StringComparison.Ordinal)) continue;
            Assert.That(Path.Exists(Path.Combine(Path.GetDirectoryName(path)!, target)), $"{document} links to {target}");
        }
    }

    [TestCaseSource(nameof(Documents))]
    public void Every_source_file_that_is_named_exists(string document)
    {
        string text = File.ReadAllText(Repository.PathOf(document));
        foreach (Match named in SourceFile().Matches(text)) Assert.That(Path.Exists(Repository.PathOf(named.Value)), $"{document} names {named.Value}");
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"\b(src|tools|tests|benchmarks|eng)/[A-Za-z0-9_./-]+\.(cs|csproj|md|sh|txt)\b")]
    private static partial Regex SourceFile();
}
