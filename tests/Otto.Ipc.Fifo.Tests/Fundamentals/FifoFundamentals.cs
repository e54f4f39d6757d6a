using System.Diagnostics;
using System.Text;
using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Ipc.Fifo.Tests.Fundamentals;

// How to use a FIFO from .NET, from the first line to the relay. Each test is a page; read them in order. The examples of docs/fifo.md
// stand here word for word, so that they run.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class FifoFundamentals
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task Page_1_Receive_what_shells_send()
    {
        FifoTransport transport = _workspace.Transport;
        using var done = new CancellationTokenSource();
        CancellationToken stop = done.Token;
        List<string> heard = [];
        void Handle(string line)
        {
            heard.Add(line);
            if (heard.Count == 2) done.Cancel();
        }

        Task listening = Task.Run(async () =>
        {
            using MessageReceiver receiver = transport.OpenReceiver("events", new FifoStreamOptions { KeepOpen = true });
            await foreach (ReadOnlyMemory<byte> line in receiver.ReadAllAsync(stop))
                Handle(Encoding.UTF8.GetString(line.Span)); // a line, without its end
        });
        Watchdog.Until(() => File.Exists(_workspace.PathOf("events")), "the FIFO to be made");
        _workspace.Bash("echo started > events.fifo; echo 'and done' > events.fifo").Output();
        Assert.That(async () => await Watchdog.WaitAsync(listening), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(heard, Is.EqualTo(new[] { "started", "and done" }));
    }

    [Test]
    public async Task Page_2_Say_something_to_a_shell()
    {
        FifoTransport transport = _workspace.Transport;
        CancellationToken stop = CancellationToken.None;
        using MessageSender sender = transport.OpenSender("events");
        ExternalProgram shell = _workspace.Bash("cat events.fifo");
        await sender.SendAsync("one line"u8.ToArray(), stop); // waits until somebody reads
        sender.Complete();
        Assert.That(shell.Output(), Is.EqualTo("one line\n"));
    }

    [Test]
    public async Task Page_3_Ask_and_answer()
    {
        FifoTransport transport = _workspace.Transport;
        CancellationToken stop = CancellationToken.None;
        using FifoDuplex server = transport.OpenDuplex("questions", DuplexSide.Server);
        ExternalProgram shell = _workspace.Bash(
            "exec 3> questions.to-server.fifo 4< questions.to-client.fifo; echo 'is it there' >&3; read -r answer <&4; echo \"$answer\"");
        string question = Encoding.UTF8.GetString(await NextAsync(server.Receiver));
        await server.Sender.SendAsync(Encoding.UTF8.GetBytes($"{question}? yes"), stop);
        Assert.That(shell.Output(), Is.EqualTo("is it there? yes\n"));
    }

    [Test]
    public async Task Page_4_Stand_a_relay_between_programs()
    {
        FifoTransport transport = _workspace.Transport;
        CancellationToken stop = CancellationToken.None;
        await using var relay = new FifoRelay();
        using Process producer = Start("bash", "-c", "seq 3 > \"$OTTO_OUTPUT_PIPE\"", "OTTO_OUTPUT_PIPE", relay.OutputPipes[0]);
        using MessageReceiver results = transport.OpenReceiverAt(relay.InputPipes[0]);
        Task<FifoRelayReport> relaying = relay.RunAsync();
        await producer.WaitForExitAsync(stop);
        relay.ProducerEnded(0);
        Assert.That(results.Drain(), Is.EqualTo(new[] { "1", "2", "3" }));
        Assert.That((await relaying).Bytes, Is.EqualTo(6));
    }

    [Test]
    public void The_documents_examples_stand_here()
    {
        string root = DocumentExamples.Root;
        string[] page = [.. File.ReadLines(Path.Combine(root, "tests/Otto.Ipc.Fifo.Tests/Fundamentals/FifoFundamentals.cs")).Select(
            line => line.Trim())];
        string document = File.ReadAllText(Path.Combine(root, "docs/fifo.md"));
        int examples = 0;
        foreach (string block in document.Split("```csharp\n").Skip(1))
        {
            examples++;
            foreach (string line in block[..block.IndexOf("```", StringComparison.Ordinal)].Split('\n').Select(line => line.Trim()))
                Assert.That(page.Contains(line) || line == "var transport = new FifoTransport();",
                    $"docs/fifo.md says, and no page here does: {line}");
        }

        Assert.That(examples, Is.EqualTo(4));
    }

    private static async Task<byte[]> NextAsync(MessageReceiver receiver)
    {
        Assert.That(await Watchdog.WaitAsync(receiver.WaitToReceiveAsync()), Is.True);
        return receiver.NextBytes();
    }

    private static Process Start(string program, string option, string script, string variable, string value)
    {
        var start = new ProcessStartInfo(program, [option, script]);
        start.Environment[variable] = value;
        return Process.Start(start)!;
    }
}
