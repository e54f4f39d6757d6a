using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests;

// The examples of docs/files.md: its C# stands here and is run here, its scripts are run as they stand there, in between.

public sealed class FilesDocumentTests
{
    private const string Document = "docs/files.md", Source = "tests/Otto.Ipc.Files.Tests/FilesDocumentTests.cs";
    private IReadOnlyList<DocumentBlock> _blocks = [];
    private int _next;

    [Test]
    public async Task The_examples_of_the_document_do_what_it_says()
    {
        using TestWorkspace place = new TestWorkspace();
        FilesTransport transport = place.Transport;
        _blocks = DocumentExamples.Blocks(Document);
        Assert.That(Take(), Is.EqualTo(""), "the picture of the directory");

        Assert.That(Take(), Is.EqualTo("csharp"));
        await using IKeyValueStore store = transport.OpenStore("resize");
        await store.SetAsync("file", "\"a.jpg\""u8.ToArray());
        await store.SetAsync("progress", "{\"done\":3,\"of\":10}"u8.ToArray());
        await store.SetAsync("thumbnail", new byte[] { 0xFF, 0xD8 });
        RunScripts(place);

        Assert.That(Take(), Is.EqualTo("csharp"));
        using MessageSender sender = transport.OpenSender("frames");
        sender.TrySend("{\"frame\":1}"u8);
        sender.TrySend("plain words"u8);
        RunScripts(place);

        Assert.That(Take(), Is.EqualTo("csharp"));
        var received = new List<string>();
        Receive();
        Assert.That(received, Is.EquivalentTo(new[] { "{\"frame\":1}", "plain words", "{\"frame\":2}" }));

        Assert.That(Take(), Is.EqualTo("csharp"));
        Enqueue();
        RunScripts(place);
        Assert.That(_next, Is.EqualTo(_blocks.Count));
        using WorkQueue left = transport.OpenQueue("jobs");
        Assert.That((left.GetCounts().Ready, left.GetCounts().Delayed, left.GetCounts().Dead), Is.EqualTo((0, 1, 1)));

        void Receive()
        {
            using MessageReceiver receiver = transport.OpenReceiver("frames");
            while (receiver.TryReceive(out ReadLease lease))
            {
                received.Add(Encoding.UTF8.GetString(lease.Bytes));
                lease.Dispose();
            }
        }

        void Enqueue()
        {
            using WorkQueue queue = transport.OpenQueue("jobs");
            queue.TrySend("{\"file\":\"a.jpg\"}"u8);
            queue.TrySend("{\"file\":\"b.jpg\"}"u8);
            queue.TrySend("{\"file\":\"c.jpg\"}"u8, TimeSpan.FromHours(1), out WorkId later);
            queue.TryLease(out WorkLease lease);
            lease.DeadLetter("no such file");
        }
    }

    /// <summary>Steps over the next block; C# must stand in this file.</summary>
    private string Take()
    {
        DocumentBlock block = _blocks[_next++];
        if (block.Language == "csharp")
            Assert.That(DocumentExamples.IsIn(Source, block), Is.True, $"{Document}:{block.Line} is not what {Source} runs");
        return block.Language;
    }

    /// <summary>Runs the scripts that come next, and compares what they print with what is shown.</summary>
    private void RunScripts(TestWorkspace workspace)
    {
        while (_next < _blocks.Count && _blocks[_next].Language == "sh")
        {
            DocumentBlock script = _blocks[_next++];
            ShellResult result = workspace.Bash(script.Text);
            Assert.That((result.Code, result.Errors), Is.EqualTo((0, "")), $"{Document}:{script.Line}");
            string shown = _next < _blocks.Count && _blocks[_next].Language == "text" ? _blocks[_next++].Text : "";
            Assert.That(DocumentExamples.Shows(shown, result.Output), Is.True,
                $"{Document}:{script.Line} shows\n{shown}\nbut it prints\n{result.Output}");
        }
    }
}
