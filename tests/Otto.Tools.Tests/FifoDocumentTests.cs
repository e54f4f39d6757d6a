using System.Text.RegularExpressions;
using Otto.Ipc.Conformance;

namespace Otto.Tools.Tests;

// The shell examples of docs/fifo.md print what the document says.

internal sealed partial class FifoDocumentTests : ToolTest
{
    private static readonly string Document = File.ReadAllText(Path.Combine(DocumentExamples.Root, "docs", "fifo.md"));

    private static IEnumerable<TestCaseData> Examples()
    {
        MatchCollection blocks = Block().Matches(Document);
        for (int i = 0; i < blocks.Count; i++)
        {
            if (blocks[i].Groups["kind"].Value != "sh") continue;
            string expected = i + 1 < blocks.Count && blocks[i + 1].Groups["kind"].Value == "text" ? Unindented(blocks[i + 1]) : "";
            yield return new TestCaseData(Unindented(blocks[i]), expected).SetArgDisplayNames(
                $"line {Document[..blocks[i].Index].Count(c => c == '\n') + 1}");
        }
    }

    [TestCaseSource(nameof(Examples))]
    public void An_example_prints_what_the_document_says(string script, string expected)
    {
        Assert.That(expected, Is.Not.Empty, "an example without a result below it");
        Result result = Bash($"cd \"$OTTO_MMAP_DIR\"; export OTTO_FIFO_DIR=$PWD\n{script}");
        Assert.That((result.Output, result.Errors), Is.EqualTo((expected, "")));
    }

    [Test]
    public void Every_shell_example_is_found() =>
    Assert.That(Examples().Count(), Is.EqualTo(Regex.Count(Document, @"^\s*```sh\b", RegexOptions.Multiline)).And.GreaterThanOrEqualTo(9));

    private static string Unindented(Match block)
    {
        int indent = block.Groups["indent"].Length;
        return string.Concat(
            block.Groups["body"].Value.Split('\n')[..^1].Select(line => (line.Length >= indent ? line[indent..] : line) + "\n"));
    }

    [GeneratedRegex(@"^(?<indent> *)```(?<kind>[a-z]*)\n(?<body>(?:.*\n)*?)\k<indent>```$", RegexOptions.Multiline)]
    private static partial Regex Block();
}
