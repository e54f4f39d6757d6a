using System.Text.RegularExpressions;

namespace Otto.Repository.Architecture;

/// <summary>The rejected words: the tables of docs/style.md whose first column is headed "instead of".</summary>
public sealed partial class StyleSheet
{
    private readonly Regex _pattern;
    private readonly Dictionary<string, string> _better = new(StringComparer.OrdinalIgnoreCase);

    private StyleSheet(IEnumerable<(string Phrase, string Better)> rows)
    {
        foreach (var (phrase, better) in rows) _better[phrase] = better;
        // The longest first, so that "takes no more" is not found as something shorter. A phrase may be broken over two lines.
        IEnumerable<string> patterns = _better.Keys.OrderByDescending(phrase => phrase.Length)
            .Select(phrase => string.Join(@"\s+", phrase.Split(' ').Select(Regex.Escape)));
        string any = _better.Count == 0 ? "(?!)" : string.Join('|', patterns);
        _pattern = new Regex($@"(?<![\w-])(?:{any})(?![\w-])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
    }

    public IReadOnlyCollection<string> Phrases => _better.Keys;

    public static StyleSheet Parse(string markdown)
    {
        List<(string, string)> rows = [];
        bool inTable = false;
        foreach (string line in markdown.Split('\n'))
        {
            string[] cells = line.Trim().Trim('|').Split('|');
            if (!line.StartsWith('|') || cells.Length < 2) inTable = false;
            else if (cells[0].Trim() == "instead of") inTable = true;
            else if (inTable) rows.AddRange(Quoted().Matches(cells[0]).Select(phrase => (phrase.Groups[1].Value, cells[1].Trim())));
        }

        return new StyleSheet(rows);
    }

    /// <summary>The rejected words of a text: where they are, and what to write.</summary>
    public IEnumerable<(int Position, string Phrase, string Better)> Find(string text) => _pattern.Matches(text).Select(match =>
    {
        string phrase = Space().Replace(match.Value, " ");
        return (match.Index, phrase, _better[phrase]);
    });

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}
