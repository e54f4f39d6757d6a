using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Ipc.Fifo.Tests.Relays;

// A relay with real programs on both sides, which are told to it as they end, as otto pipe does.

internal sealed class RelayRun : IDisposable
{
    private readonly TestWorkspace _workspace;
    private readonly List<Task> _following = [];
    private int _producers, _consumers;

    public RelayRun(TestWorkspace workspace, FifoRelayOptions? options = null)
    {
        _workspace = workspace;
        Relay = new FifoRelay((options ?? new FifoRelayOptions()) with { Directory = workspace.Directory });
        Running = Relay.RunAsync();
    }

    public FifoRelay Relay { get; }

    public Task<FifoRelayReport> Running { get; }

    /// <summary>Starts a shell script as the next producer.</summary>
    public ExternalProgram Produce(string script) =>
        Followed(_workspace.Bash(script, ("OTTO_OUTPUT_PIPE", Relay.OutputPipes[_producers])), Relay.ProducerEnded, _producers++);

    /// <summary>Starts a shell script as the next consumer.</summary>
    public ExternalProgram Consume(string script) =>
        Followed(_workspace.Bash(script, ("OTTO_INPUT_PIPE", Relay.InputPipes[_consumers])), Relay.ConsumerEnded, _consumers++);

    public ExternalProgram ProducePython(string script) =>
        Followed(_workspace.Python(script, ("OTTO_OUTPUT_PIPE", Relay.OutputPipes[_producers])), Relay.ProducerEnded, _producers++);

    public ExternalProgram ConsumePython(string script) =>
        Followed(_workspace.Python(script, ("OTTO_INPUT_PIPE", Relay.InputPipes[_consumers])), Relay.ConsumerEnded, _consumers++);

    /// <summary>Waits until the relay has passed on everything, or everybody has left.</summary>
    public FifoRelayReport Report() => Watchdog.WaitAsync(Running).GetAwaiter().GetResult();

    public void Dispose()
    {
        Watchdog.WaitAsync(Relay.DisposeAsync().AsTask()).GetAwaiter().GetResult();
        Assert.That(Directory.GetDirectories(_workspace.Directory, "pipe-*").Where(
            path => path == Path.GetDirectoryName(Relay.InputPipes[0])),
            Is.Empty, "its FIFOs are gone");
    }

    private ExternalProgram Followed(ExternalProgram program, Action<int> ended, int index)
    {
        _following.Add(program.Ended.ContinueWith(_ => ended(index), TaskScheduler.Default));
        return program;
    }
}
