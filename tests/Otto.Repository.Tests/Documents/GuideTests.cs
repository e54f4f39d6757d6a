using Otto.Ipc.Conformance;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Repository.Tests.Documents;

// The guides do what they say. In a page, from top to bottom:
//
//  csharp        a whole program: compiled, and what "dotnet run" runs from now on
//  sh, python    run; without an output below it, a shell block stays in a terminal of its own
//  text          what the block above prints; … is anything on a line
//  json          parsed

[TestFixture]
internal sealed class GuideTests
{
    private static IEnumerable<string> Guides() =>
        Directory.EnumerateFiles(Repository.PathOf("docs/guides"), "*.md").Select(static path => Path.GetFileNameWithoutExtension(path))
            .Order(StringComparer.Ordinal);

    [TestCaseSource(nameof(Guides))]
    public async Task A_guide_prints_what_it_shows(string guide)
    {
        string document = $"docs/guides/{guide}.md";
        if (!File.Exists(Repository.PathOf("artifacts/bin/otto"))) Assert.Fail("there are no tools in artifacts/bin; run eng/build first");
        IReadOnlyList<DocumentBlock> blocks = Ipc.Conformance.DocumentExamples.Blocks(document);
        bool needsRedis = blocks.Any(static block => block.Text.Contains("REDIS", StringComparison.Ordinal));
        using RedisServer? redis = needsRedis ? await RedisServer.StartAsync(persistent: true) : null;
        using var run = new GuideRun(redis?.Configuration ?? "");
        int shown = 0;
        for (int i = 0; i < blocks.Count; i++)
        {
            DocumentBlock block = blocks[i];
            string at = $"{document}:{block.Line}";
            string? expected = i + 1 < blocks.Count && blocks[i + 1].Language == "text" ? blocks[i + 1].Text : null;
            switch (block.Language)
            {
                case "csharp": run.Use(block.Text); break;
                case "sh" when expected is null: run.Open(block.Text); break;
                case "json": using (System.Text.Json.JsonDocument.Parse(block.Text)) break;
                case "sh" or "python" or "ini": break;
                default: Assert.Fail($"{at}: a guide has no '{block.Language}'"); break;
            }

            if (expected is null) continue;
            var (output, errors) = block.Language switch
            {
                "csharp" => run.Run("bash", "-c", "dotnet run"),
                "python" => run.Run("python3", "-W", "error", "-c", block.Text),
                _ => run.Run("bash", "-c", block.Text),
            };
            bool shows = Ipc.Conformance.DocumentExamples.Shows(expected, output);
            Assert.That(shows, Is.True, $"{at} shows\n{expected}\nbut it prints\n{output}\n{errors}");
            shown++;
            i++;
        }

        Assert.That(shown, Is.GreaterThan(0), "no example");
    }

    [TestCase("Console.WriteLine(new Otto.Queue.TaskQueue(1));", "CS1503")]
    [TestCase("int unused = 1;", "CS0219")]
    public void A_program_that_does_not_compile_cleanly_is_caught(string source, string code)
    {
        string directory = Directory.CreateTempSubdirectory("otto-guide-test-").FullName;
        try
        {
            Assert.That(GuideProgram.Compile(source, directory).Errors, Has.Some.Contains(code));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
