using System.Text.RegularExpressions;
using Otto.Ipc.Conformance;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

// docs/message-flow.md lists every file that a durable task with a result passes. Two real processes report which types ran code.

[NonParallelizable]
internal sealed partial class TaskFlowTests : QueueTest
{
    private static readonly string[] Projects = ["Otto.Ipc", "Otto.Ipc.Mmap", "Otto.Queue"];

    // The page ends at the platform: what is below differs by operating system.
    private const string SystemCalls = "Otto.Ipc/Platform/Linux/";

    [Test]
    public async Task The_page_lists_every_file_that_the_task_passes_and_no_other()
    {
        using PeerProcess worker = PeerProcess.Start("flow-work", Segments, "photos");
        await worker.SaysAsync("ready");
        using PeerProcess producer = PeerProcess.Start("flow-send", Segments, "photos");
        await producer.SaysAsync("result photo is done");
        await producer.SaysAsync("recorded");
        await worker.StopAsync();
        await worker.SaysAsync("recorded");

        ILookup<string, string> sources = FilesByType();
        string[] lines = [.. producer.Lines, .. worker.Lines];
        string[] listed = [.. Listed("flow"), .. Listed("carried"), .. Listed("called")];
        string[] used = [.. Files("ran "), .. Files("started ")];
        string[] missing = [.. Files("ran ").Except([.. listed, .. Listed("beside")])];
        Assert.That(string.Join('\n', missing.Order(StringComparer.Ordinal)), Is.Empty, "used, and not in docs/message-flow.md");
        Assume.That(used, Does.Contain("Otto.Ipc.Mmap/Doorbells/AsyncDoorbells.cs"), "this system cannot sleep on many words at once");
        string[] unused = [.. listed.Except(used)];
        Assert.That(string.Join('\n', unused.Order(StringComparer.Ordinal)), Is.Empty, "in docs/message-flow.md, and not used");

        string[] Files(string prefix) =>
            [.. from line in lines
                where line.StartsWith(prefix, StringComparison.Ordinal)
                from file in sources[Outermost(line[prefix.Length..])]
                where !file.StartsWith(SystemCalls, StringComparison.Ordinal)
                select file];
    }

    private static string[] Listed(string block) =>
        [.. DocumentExamples.Blocks("docs/message-flow.md").Where(b => b.Language == block).SelectMany(static b => b.Text.Split('\n'))
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(static words => words is [_, _] && words[1].EndsWith(".cs", StringComparison.Ordinal)).Select(static words => words[1])];

    private static string Outermost(string type) => type.Split('+')[0].Split('`')[0];

    // Full names of the types that are not nested, and the files that declare them.
    private static ILookup<string, string> FilesByType() =>
        (from project in Projects
         let folder = Path.Combine(DocumentExamples.Root, "src", project)
         from path in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
         let file = $"{project}/{Path.GetRelativePath(folder, path)}"
         where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
         let text = File.ReadAllText(path)
         let space = Namespace().Match(text).Groups[1].Value
         from Match type in Declaration().Matches(text)
         select (Name: $"{space}.{type.Groups[1].Value}", file)).ToLookup(static t => t.Name, static t => t.file);

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^(?:public |internal |file )?(?:static |sealed |abstract |readonly |ref |unsafe |partial )*"
        + @"(?:record struct|record class|class|struct|record|interface) (\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();
}
