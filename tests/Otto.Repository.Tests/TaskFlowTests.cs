namespace Otto.Repository.Tests;

// docs/message-flow.md lists every file on a durable task's way. A list that grows means that the code is harder to follow. A test in
// tests/Otto.Queue.Tests/Processes compares the list with what really runs.

public sealed class TaskFlowTests
{
    private const int MostFiles = 39;

    private static readonly string[] Blocks = ["flow", "carried", "called", "beside"];

    private static List<(string Type, string File)> Listed(string block)
    {
        List<(string Type, string File)> listed = [];
        foreach (string line in File.ReadLines(Repository.PathOf(Path.Combine("docs", "message-flow.md")))
            .SkipWhile(line => line != "```" + block).Skip(1).TakeWhile(static line => line != "```"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is [var type, var file] && file.EndsWith(".cs", StringComparison.Ordinal)) listed.Add((type, file));
        }

        return listed;
    }

    [TestCaseSource(nameof(Blocks))]
    public void Every_listed_file_declares_its_type(string block)
    {
        Assert.That(Listed(block), Is.Not.Empty);
        foreach ((string type, string file) in Listed(block))
        {
            string path = Repository.PathOf(Path.Combine("src", file));
            Assert.That(path, Does.Exist);
            Assert.That(File.ReadAllText(path), Does.Match($@"\b(class|struct|record|interface|enum) {type}\b"), file);
        }
    }

    [Test]
    public void A_durable_task_with_a_result_crosses_few_files() => Assert.That(Listed("flow"), Has.Count.InRange(20, MostFiles));

    [Test]
    public void No_file_is_listed_twice() => Assert.That(Blocks.SelectMany(Listed).Select(static step => step.File), Is.Unique);
}
