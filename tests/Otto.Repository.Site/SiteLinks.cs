using System.Net;
using System.Text.RegularExpressions;

namespace Otto.Repository.Site;

/// <summary>
/// The links of a built site: each page, picture, script and anchor that a page names exists, and nothing is loaded
/// from the network.
/// </summary>
public sealed partial class SiteLinks
{
    private readonly string _root;
    private readonly Dictionary<string, HashSet<string>> _anchors = [];

    private SiteLinks(string root) => _root = Path.GetFullPath(root);

    /// <summary>Checks every page.</summary>
    /// <param name="root">The site's directory.</param>
    /// <returns>The number of links, and a line for each that is broken.</returns>
    public static (int Links, IReadOnlyList<string> Broken) Check(string root)
    {
        var site = new SiteLinks(root);
        int links = 0;
        List<string> broken = [];
        foreach (string page in Directory.EnumerateFiles(site._root, "*.html", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            // An example in a page is not a link.
            string html = Code().Replace(File.ReadAllText(page), "");
            foreach (Match match in Link().Matches(html))
            {
                links++;
                string target = WebUtility.HtmlDecode(match.Groups["target"].Value);
                if (site.Problem(page, match.Groups["tag"].Value, target) is { } problem)
                    broken.Add($"{Path.GetRelativePath(site._root, page)}: {target}: {problem}");
            }
        }

        return (links, broken);
    }

    private string? Problem(string page, string tag, string target)
    {
        if (target.StartsWith("//", StringComparison.Ordinal) || Scheme().IsMatch(target))
        {
            // A link that a reader may follow is fine; what the browser loads by itself must be part of the site.
            bool isLoaded = !tag.Equals("a", StringComparison.OrdinalIgnoreCase) && !target.StartsWith("data:", StringComparison.Ordinal);
            return isLoaded ? "loaded from the network" : null;
        }

        string[] parts = target.Split('#', 2);
        string path = Uri.UnescapeDataString(parts[0].Split('?')[0]);
        string file = path.Length == 0 ? page : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page)!, path));
        if (path.EndsWith('/')) file = Path.Combine(file, "index.html");
        if (file != _root && !file.StartsWith(_root + "/", StringComparison.Ordinal)) return "outside of the site";
        if (!File.Exists(file)) return "no such file";
        if (parts.Length == 1 || parts[1].Length == 0 || !file.EndsWith(".html", StringComparison.Ordinal)) return null;
        return AnchorsOf(file).Contains(Uri.UnescapeDataString(parts[1])) ? null : "no such anchor";
    }

    private HashSet<string> AnchorsOf(string file)
    {
        if (!_anchors.TryGetValue(file, out HashSet<string>? anchors))
        {
            anchors = [.. Anchor().Matches(File.ReadAllText(file)).Select(static m => WebUtility.HtmlDecode(m.Groups["name"].Value))];
            _anchors.Add(file, anchors);
        }

        return anchors;
    }

    [GeneratedRegex(
        """<(?<tag>a|img|script|link|iframe|source)\b[^>]*?\s(?:href|src)\s*=\s*"(?<target>[^"]*)\x22""", RegexOptions.IgnoreCase)]
    private static partial Regex Link();

    [GeneratedRegex("""\s(?:id|name)\s*=\s*"(?<name>[^"]+)\x22""", RegexOptions.IgnoreCase)]
    private static partial Regex Anchor();

    [GeneratedRegex("<!--.*?-->|<script(?![^>]*\\ssrc=)[^>]*>.*?</script>", RegexOptions.Singleline | RegexOptions.IgnoreCase)]
    private static partial Regex Code();

    [GeneratedRegex("^[a-z][a-z0-9+.-]*:", RegexOptions.IgnoreCase)]
    private static partial Regex Scheme();
}
