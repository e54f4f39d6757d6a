namespace Otto.Repository.Tests;

// docs/message-flow.md lists every file on a durable task's way. A list that grows says that the code is harder to follow.

public sealed class TaskFlowTests
{
    private const int MostFiles = 35;

    private static List<(string Type, string File)> Steps()
    {
        List<(string Type, string File)> steps = [];
        foreach (string line in File.ReadLines(Repository.PathOf(Path.Combine("docs", "message-flow.md")))
            .SkipWhile(static line => line != "```flow").Skip(1).TakeWhile(static line => line != "```"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is [var type, var file] && file.EndsWith(".cs", StringComparison.Ordinal)) steps.Add((type, file));
        }

        return steps;
    }

    [Test]
    public void Every_file_on_the_way_declares_its_type()
    {
        Assert.That(Steps(), Is.Not.Empty);
        foreach ((string type, string file) in Steps())
        {
            string path = Repository.PathOf(Path.Combine("src", "Otto.Queue", file));
            Assert.That(path, Does.Exist);
            Assert.That(File.ReadAllText(path), Does.Match($@"\b(class|struct|record|interface|enum) {type}\b"), file);
        }
    }

    [Test]
    public void A_durable_task_with_a_result_crosses_few_files() => Assert.That(Steps(), Has.Count.InRange(20, MostFiles));

    [Test]
    public void No_file_is_named_twice() => Assert.That(Steps().Select(static step => step.File), Is.Unique);
}
