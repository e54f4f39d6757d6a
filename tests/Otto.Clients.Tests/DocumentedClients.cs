using Otto.Ipc.Conformance;

namespace Otto.Clients.Tests;

// The examples of docs/clients.md, run as they stand there, one after the other, against one server.

public sealed class DocumentedClients
{
    private const string Document = "docs/clients.md";

    [Test]
    public void The_examples_of_the_document_print_what_it_shows()
    {
        using var shop = new Workshop();
        shop.Serve();
        (string, string) path = ("PATH", $"{Workshop.Clients}/bash:{Environment.GetEnvironmentVariable("PATH")}");
        IReadOnlyList<DocumentBlock> blocks = Documents.Blocks(Document);
        int run = 0;
        for (int i = 0; i < blocks.Count; i += 2)
        {
            ProgramResult result = blocks[i].Language switch
            {
                "bash" => shop.Run("bash", ["-c", blocks[i].Text], null, path),
                "python" => shop.Python(blocks[i].Text),
                string other => throw new AssertionException($"{Document}:{blocks[i].Line}: nobody runs '{other}'"),
            };
            Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")), $"{Document}:{blocks[i].Line}");
            Assert.That(blocks[i + 1].Language, Is.EqualTo("text"));
            Assert.That(Documents.Shows(blocks[i + 1].Text, result.Output), Is.True,
                $"{Document}:{blocks[i].Line} shows\n{blocks[i + 1].Text}\nbut it prints\n{result.Output}");
            run++;
        }

        Assert.That(run, Is.EqualTo(4));
    }

    [Test]
    public void The_heads_of_the_clients_name_every_function()
    {
        string head = File.ReadAllText(Path.Combine(Workshop.Clients, "bash/otto.sh")),
            document = File.ReadAllText(Path.Combine(Documents.Root, Document));
        using var shop = new Workshop();
        string[] functions = shop.Bash("compgen -A function otto_").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(functions,
            Is.EquivalentTo(new[] { "otto_set", "otto_get", "otto_list", "otto_del", "otto_progress", "otto_mmap_get", "otto_mmap_set" }));
        foreach (string function in functions)
        {
            Assert.That(head, Does.Contain($"#   {function} "));
            Assert.That(document, Does.Contain($"`{function} "));
        }
    }
}
