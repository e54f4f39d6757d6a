using System.CommandLine;
using System.Globalization;

namespace Otto.Tools.Completion;

// What may follow a line that is being typed: otto '[suggest:N]' LINE. Whatever goes wrong, a shell's prompt must not show it,
// nor wait for it.

internal static class Suggestions
{
    private const string Start = "[suggest";

    // A slow machine may need more than the usual 200 ms.
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(
        int.TryParse(Environment.GetEnvironmentVariable("OTTO_COMPLETION_MS"), NumberStyles.None, CultureInfo.InvariantCulture,
            out int limit) && limit > 0 ? limit : 200);

    /// <summary>Whether the arguments ask for suggestions.</summary>
    public static bool IsAsked(string[] args) =>
        args is [var directive, ..] && directive.StartsWith(Start, StringComparison.Ordinal) && directive.EndsWith(']');

    /// <summary>Prints the words that may follow, a line each; nothing when finding them
    /// takes longer than the limit.</summary>
    public static int Print(RootCommand root, string[] args)
    {
        using var stop = new CancellationTokenSource(Limit);
        Task<string[]> words = Task.Run(() => Words(root, args, stop.Token));
        try
        {
            if (words.Wait(Limit))
                foreach (string word in words.Result) Console.WriteLine(word);
        }
        catch (AggregateException)
        {
            // A server that is gone, a directory of another user: no suggestions.
        }

        return ExitCode.Done;
    }

    private static string[] Words(RootCommand root, string[] args, CancellationToken cancellation)
    {
        string line = args.Length > 1 ? args[1] : "";
        ReadOnlySpan<char> cursor = args[0].AsSpan(Start.Length).Trim(":]");
        if (int.TryParse(cursor, NumberStyles.None, CultureInfo.InvariantCulture, out int position) && position < line.Length)
            line = line[..position];
        string[] typed = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        string current = line.Length > 0 && !char.IsWhiteSpace(line[^1]) ? typed[^1] : "";
        // Inside quotes no name is expected.
        if (line.Count('"') % 2 != 0 || line.Count('\'') % 2 != 0) return [];
        // What follows -- is another program's.
        if (typed.AsSpan(0, typed.Length - (current.Length > 0 ? 1 : 0)).Contains("--")) return [];

        CompletionNames.Attach(root, cancellation);
        ParseResult parsed = root.Parse(line, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        if (parsed.UnmatchedTokens.Any(token => token != current)) return [];
        return
        [
            .. parsed.GetCompletions(line.Length).Select(static item => item.InsertText ?? item.Label)
                .Where(word => word.StartsWith(current, StringComparison.Ordinal) && (current.Length > 0 || word[0] is not ('-' or '/')))
                .Distinct()
                .Order(StringComparer.Ordinal),
        ];
    }
}
