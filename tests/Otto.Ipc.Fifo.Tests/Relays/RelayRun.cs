using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo.Relays;

namespace Otto.Ipc.Fifo.Tests.Relays;

// A relay with real programs on both sides, which are told to it as they end, as otto pipe does.

internal sealed class RelayRun : IDisposable
{
    private readonly FifoPlace _place;
    private readonly List<Task> _following = [];
    private int _producers, _consumers;

    public RelayRun(FifoPlace place, FifoRelayOptions? options = null)
    {
        _place = place;
        Relay = new FifoRelay((options ?? new FifoRelayOptions()) with { Directory = place.Directory });
        Running = Relay.RunAsync();
    }

    public FifoRelay Relay { get; }

    public Task<FifoRelayReport> Running { get; }

    /// <summary>Starts a shell script as the next producer.</summary>
    public Program Produce(string script) =>
        Followed(_place.Bash(script, ("OTTO_OUTPUT_PIPE", Relay.OutputPipes[_producers])), Relay.ProducerEnded, _producers++);

    /// <summary>Starts a shell script as the next consumer.</summary>
    public Program Consume(string script) =>
        Followed(_place.Bash(script, ("OTTO_INPUT_PIPE", Relay.InputPipes[_consumers])), Relay.ConsumerEnded, _consumers++);

    public Program ProducePython(string script) =>
        Followed(_place.Python(script, ("OTTO_OUTPUT_PIPE", Relay.OutputPipes[_producers])), Relay.ProducerEnded, _producers++);

    public Program ConsumePython(string script) =>
        Followed(_place.Python(script, ("OTTO_INPUT_PIPE", Relay.InputPipes[_consumers])), Relay.ConsumerEnded, _consumers++);

    /// <summary>Waits until the relay has passed on everything, or everybody has left.</summary>
    public FifoRelayReport Report() => Watch.Over(Running).GetAwaiter().GetResult();

    public void Dispose()
    {
        Watch.Over(Relay.DisposeAsync().AsTask()).GetAwaiter().GetResult();
        Assert.That(Directory.GetDirectories(_place.Directory, "pipe-*").Where(path => path == Path.GetDirectoryName(Relay.InputPipes[0])),
            Is.Empty, "its FIFOs are gone");
    }

    private Program Followed(Program program, Action<int> ended, int index)
    {
        _following.Add(program.Ended.ContinueWith(_ => ended(index), TaskScheduler.Default));
        return program;
    }
}
