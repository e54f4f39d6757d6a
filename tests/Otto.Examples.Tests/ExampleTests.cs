using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Examples.Tests;

/// <summary>Each example, run as its readers would run it.</summary>
[TestFixture]
internal sealed class ExampleTests
{
    private static readonly Dictionary<string, string> AsItComes = [];
    private string _machine = "";
    private string _otherMachine = "";

    [SetUp]
    public void MakeMachines()
    {
        _machine = MakeMachine("here");
        _otherMachine = MakeMachine("there");
    }

    private static string MakeMachine(string name) => Directory.CreateDirectory(
        $"/dev/shm/otto-examples-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}-{name}",
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    [TearDown]
    public void RemoveMachines()
    {
        Directory.Delete(_machine, recursive: true);
        Directory.Delete(_otherMachine, recursive: true);
    }

    [Test]
    public async Task Minimal()
    {
        using ExampleProcess program = ExampleProcess.Start("Minimal", _machine, AsItComes);
        Assert.That(await program.EndAsync(),
            Is.EqualTo(new[] { "InProcess: worker here has room", "8 words", "mail to ada@example.org sent on attempt 2",
                "stopped with 0 tasks lost" }));
    }

    [Test]
    public async Task Two_processes()
    {
        using ExampleProcess shop = ExampleProcess.Start("TwoProcesses", _machine, AsItComes, "shop", "3");
        Assert.That(await shop.LineAsync(), Is.EqualTo("shop is open"), "before there is a kitchen");
        using ExampleProcess kitchen = ExampleProcess.Start("TwoProcesses", _machine, AsItComes, "kitchen");
        Assert.That(await shop.EndAsync(),
            Is.EqualTo(Enumerable.Range(1, 3).Select(
                static i => $"ordered by way of SharedMemory; got soup {i}, meal {i} of this kitchen")));
        Assert.That(await kitchen.InterruptAsync(), Is.EqualTo(new[] { "kitchen is open" }));
    }

    [Test]
    public async Task Outgrow_one_machine()
    {
        using (ExampleProcess worker = ExampleProcess.Start("OutgrowOneMachine", _machine, AsItComes, "work"))
        {
            Assert.That(await worker.LineAsync(), Is.EqualTo("ready"));
            using ExampleProcess sender = ExampleProcess.Start("OutgrowOneMachine", _machine, AsItComes, "send", "2");
            Assert.That(await sender.EndAsync(), Is.EqualTo(new[]
            {
                "1 squared is 1; by way of SharedMemory: worker attached on this machine",
                "2 squared is 4; by way of SharedMemory: worker attached on this machine",
            }));
            await worker.InterruptAsync();
        }

        // The same program; what tells two machines apart is that they share no memory.
        using RedisServer server = await RedisServer.StartAsync(persistent: true);
        Dictionary<string, string> outgrown =
            new() { ["Otto__Queue__Routes"] = "InProcess,SharedMemory,Redis",
                ["Otto__Queue__Redis__Configuration"] = server.Configuration };
        using ExampleProcess far = ExampleProcess.Start("OutgrowOneMachine", _otherMachine, outgrown, "work");
        Assert.That(await far.LineAsync(), Is.EqualTo("ready"));
        // It told the server of itself beside that.
        await Eventually.Holds(() => server.AskAsync("ZCARD otto:{numbers.square}:workers").Result == ":1");
        using ExampleProcess here = ExampleProcess.Start("OutgrowOneMachine", _machine, outgrown, "send", "2");
        Assert.That(await here.EndAsync(),
            Is.EqualTo(new[] { "1 squared is 1; by way of Redis: worker known on this route",
                "2 squared is 4; by way of Redis: worker known on this route" }));
        await far.InterruptAsync();
    }
}
