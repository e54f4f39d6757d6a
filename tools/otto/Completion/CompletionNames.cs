using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Parsing;
using Otto.Ipc.Hosting;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Uds;

namespace Otto.Tools.Completion;

// The names that exist here now: of segments in shared memory, and of the keys of a server that runs. They are attached to the
// commands only when a shell asks.

internal static class CompletionNames
{
    private const int Most = 500;
    private static readonly char[] Wild = ['*', '?', '[', '\\'];

    /// <summary>Lets the arguments and options of all commands suggest what exists.</summary>
    public static void Attach(Command root, CancellationToken cancellation)
    {
        foreach (Command command in root.Subcommands)
        {
            foreach (Argument argument in command.Arguments) Attach(argument.Name, command, argument.CompletionSources, cancellation);
            foreach (Option option in command.Options) Attach(option.Name, command, option.CompletionSources, cancellation);
            Attach(command, cancellation);
        }
    }

    private static void Attach(
        string name, Command command, List<Func<CompletionContext, IEnumerable<CompletionItem>>> sources, CancellationToken cancellation)
    {
        switch (name)
        {
            case "NAME" when command.Parents.Any(parent => parent.Name == "ipc"): sources.Add(context => Segments(context, null)); break;
            case "NAME": sources.Add(context => Segments(context, SegmentKind.Queue)); break;
            case "CHANNEL": sources.Add(context => Segments(context, SegmentKind.Stream)); break;
            case "KEY" or "GLOB": sources.Add(context => Keys(context, cancellation)); break;
            case "SHELL": sources.Add("bash", "zsh"); break;
            case "--transport": sources.Add("mmap:", "uds:", "fifo:", "files:"); break;
            case "--durability": sources.Add("none", "process", "cluster"); break;
            case "--as": sources.Add("raw", "json"); break;
        }
    }

    private static IEnumerable<CompletionItem> Segments(CompletionContext context, SegmentKind? kind)
    {
        bool elsewhere = Transport(context) is { Length: > 0 } address && !address.StartsWith("mmap:", StringComparison.Ordinal);
        if (kind == SegmentKind.Stream && elsewhere) return [];
        var inspector = new MmapInspector(new MmapTransportOptions { Directory = Given(context, "--dir") });
        return Items(inspector.List().Where(segment => kind is null || segment.Kind == kind).Select(segment => segment.Name));
    }

    private static IEnumerable<CompletionItem> Keys(CompletionContext context, CancellationToken cancellation)
    {
        // Elsewhere each task has a store of its own, and looking into one would make it.
        if (Transport(context) is { Length: > 0 } address && address != "uds:") return [];
        string word = context.WordToComplete;
        string pattern = word.IndexOfAny(Wild) < 0 ? word + "*" : "*";
        return Items(Task.Run(() => ListAsync(Given(context, "--socket"), pattern, cancellation), cancellation).GetAwaiter().GetResult());
    }

    private static async Task<IReadOnlyList<string>> ListAsync(string? socket, string pattern, CancellationToken cancellation)
    {
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = socket, ConnectTimeout = TimeSpan.Zero });
        return await client.ListAsync(pattern, cancellation);
    }

    private static string? Transport(CompletionContext context) =>
        Given(context, "--transport")
        ?? (Given(context, "--socket") is null ? Environment.GetEnvironmentVariable(OttoTransport.EnvironmentVariable) : null);

    private static string? Given(CompletionContext context, string option) =>
        context.ParseResult.GetResult(option) is OptionResult { Tokens: [.., { Value: var value }] } ? value : null;

    private static IEnumerable<CompletionItem> Items(IEnumerable<string> names) =>
        names.Distinct().Take(Most).Select(name => new CompletionItem(name));
}
