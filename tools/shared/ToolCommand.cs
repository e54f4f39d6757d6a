using System.CommandLine;
using System.CommandLine.Parsing;

namespace Otto.Tools;

// Runs a tool's one command: its usage errors are code 2, a mistyped option is never taken for a value, and nothing prints a stack trace.

internal static class ToolCommand
{
    public static int Run(string tool, RootCommand command, string[] args)
    {
        try
        {
            // The parser drops a first argument that equals the program's own name, so it gets one to drop; '@' is an ordinary character.
            var parsing = new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false };
            ParseResult parsed = command.Parse([RootCommand.ExecutableName, .. args], parsing);
            bool asked = parsed.Action is not null && parsed.Errors.Count == 0;
            List<string> problems = [.. parsed.Errors.Select(Words)];
            if (MistypedOption(parsed) is { } option && !IsInformational(parsed))
                problems = [$"unknown option '{option}'; put -- before a value that begins with a dash"];
            else if (asked || problems.Count == 0)
                return parsed.Invoke(
                    new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });

            foreach (string problem in problems.Distinct()) Console.Error.WriteLine($"{tool}: {problem}");
            Console.Error.WriteLine($"try '{tool} --help'");
            return ExitCode.Usage;
        }
        catch (Exception e)
        {
            return ToolErrors.Report(tool, e);
        }
    }

    private static string Words(ParseError error) =>
        error.SymbolResult is ArgumentResult { Tokens.Count: 0 } missing ? $"{missing.Argument.Name} is missing" : error.Message;

    private static bool IsInformational(ParseResult parsed) =>
        parsed.Tokens.Any(t => t.Type == TokenType.Option && t.Value is "--help" or "-h" or "-?" or "/h" or "/?" or "--version");

    // The parser takes '--sise' for a value. Numbers and a lone dash may begin with one; everything may after '--'.
    private static string? MistypedOption(ParseResult parsed)
    {
        foreach (Token token in parsed.Tokens)
        {
            if (token.Type == TokenType.DoubleDash) return null;
            if (token.Type == TokenType.Argument && token.Value is ['-', not (>= '0' and <= '9' or '.' or ' '), ..]) return token.Value;
        }

        return null;
    }
}
