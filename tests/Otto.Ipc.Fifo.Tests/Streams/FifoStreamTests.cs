using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests.Streams;

// The stream suite over a FIFO: with frames that one write carries, and with larger ones, for which senders take the lock.

[NonParallelizable]
public sealed class FifoStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(largest: null);
}

[NonParallelizable]
public sealed class SmallFifoStreamTests : StreamConformance
{
    protected override IStreamHarness CreateHarness() => new StreamHarness(largest: 4092);
}

[NonParallelizable]
public sealed class FifoStreamSenderTests : StreamSendersConformance
{
    protected override bool RoomForEachSender => false;

    protected override bool LeavingCompletes => true;

    protected override IStreamHarness CreateHarness() => new StreamHarness(largest: null, receiverFirst: true);
}

[NonParallelizable]
public sealed class SmallFifoStreamSenderTests : StreamSendersConformance
{
    protected override bool RoomForEachSender => false;

    protected override bool LeavingCompletes => true;

    protected override IStreamHarness CreateHarness() => new StreamHarness(largest: 4092, receiverFirst: true);
}

/// <summary>A stream of length-prefixed frames.</summary>
/// <param name="largest">The largest message; null for the default.</param>
/// <param name="receiverFirst">Whether a receiver is there before the first sender: a FIFO
/// keeps nothing while nobody reads.</param>
internal sealed class StreamHarness(int? largest, bool receiverFirst = false) : IStreamHarness
{
    private readonly TestWorkspace _workspace = new();
    private readonly FifoStreamOptions _options = new() { Framing = FifoFraming.LengthPrefixed, MaxMessageBytes = largest };
    private readonly Lock _gate = new();
    private MessageReceiver? _first;
    private bool _given;

    public MessageSender OpenSender()
    {
        lock (_gate)
        {
            if (receiverFirst && !_given) _first ??= _workspace.Transport.OpenReceiver("frames", _options);
        }

        return _workspace.Transport.OpenSender("frames", _options);
    }

    public MessageReceiver OpenReceiver()
    {
        lock (_gate)
        {
            if (!_given && _first is not null)
            {
                _given = true;
                return _first;
            }

            _given = true;
        }

        return _workspace.Transport.OpenReceiver("frames", _options);
    }

    public void Dispose()
    {
        if (!_given) _first?.Dispose();
        _workspace.Dispose();
    }
}
