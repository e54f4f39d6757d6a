using Otto.Ipc.Conformance;

namespace Otto.Clients.Tests;

// The examples of docs/clients.md, run as they stand there, one after the other, against one server.

public sealed class ClientDocumentTests
{
    private const string Document = "docs/clients.md";

    [Test]
    public void The_examples_of_the_document_print_what_it_shows()
    {
        using ClientWorkspace workspace = new ClientWorkspace();
        workspace.Serve();
        (string, string) path = ("PATH", $"{ClientWorkspace.Clients}/bash:{Environment.GetEnvironmentVariable("PATH")}");
        IReadOnlyList<DocumentBlock> blocks = DocumentExamples.Blocks(Document);
        int run = 0;
        for (int i = 0; i < blocks.Count; i += 2)
        {
            ProgramResult result = blocks[i].Language switch
            {
                "bash" => workspace.Run("bash", ["-c", blocks[i].Text], null, path),
                "python" => workspace.Python(blocks[i].Text),
                string other => throw new AssertionException($"{Document}:{blocks[i].Line}: nobody runs '{other}'"),
            };
            Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")), $"{Document}:{blocks[i].Line}");
            Assert.That(blocks[i + 1].Language, Is.EqualTo("text"));
            Assert.That(DocumentExamples.Shows(blocks[i + 1].Text, result.Output), Is.True,
                $"{Document}:{blocks[i].Line} shows\n{blocks[i + 1].Text}\nbut it prints\n{result.Output}");
            run++;
        }

        Assert.That(run, Is.EqualTo(4));
    }

    [Test]
    public void The_heads_of_the_clients_name_every_function()
    {
        string head = File.ReadAllText(Path.Combine(ClientWorkspace.Clients, "bash/otto.sh")),
            document = File.ReadAllText(Path.Combine(DocumentExamples.Root, Document));
        using ClientWorkspace workspace = new ClientWorkspace();
        string[] functions = workspace.Bash("compgen -A function otto_").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(functions,
            Is.EquivalentTo(new[] { "otto_set", "otto_get", "otto_list", "otto_del", "otto_progress", "otto_mmap_get", "otto_mmap_set" }));
        foreach (string function in functions)
        {
            Assert.That(head, Does.Contain($"#   {function} "));
            Assert.That(document, Does.Contain($"`{function} "));
        }
    }
}
