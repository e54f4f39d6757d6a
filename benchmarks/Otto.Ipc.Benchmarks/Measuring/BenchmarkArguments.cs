using System.CommandLine;

namespace Otto.Ipc.Benchmarks.Measuring;

// The command line of a benchmark: how a result says that it was made, and what is refused before anything is measured and not after.

internal static class BenchmarkArguments
{
    /// <summary>The command with those of its options that change what is measured, as they
    /// were given. Where results are written is of one machine alone.</summary>
    public static string As(string command, ParseResult parsed, params Option[] options) => string.Join(
        ' ',
        options.Where(o => parsed.GetResult(o) is { Implicit: false }).SelectMany(
            o => parsed.GetResult(o)!.Tokens.Select(static t => Quoted(t.Value)).Prepend(o.Name)).Prepend(command).Prepend("eng/bench"));

    /// <summary>Refuses a file for which there is no directory.</summary>
    public static void MustHaveADirectory(this Option<FileInfo?> file) => file.Validators.Add(r =>
    {
        if (r.GetValue(file) is { Directory.Exists: false } missing)
            r.AddError($"{file.Name}: there is no directory {missing.DirectoryName}");
    });

    private static string Quoted(string word) => word.Contains(' ', StringComparison.Ordinal) ? $"'{word}'" : word;
}
