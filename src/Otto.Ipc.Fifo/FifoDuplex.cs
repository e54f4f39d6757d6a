namespace Otto.Ipc.Fifo;

// A FIFO goes one way. Two of them make a talk, and one object holds both ends of a side.

/// <summary>Which side of a talk an end is.</summary>
public enum DuplexSide
{
    /// <summary>Reads <c>name.to-server</c>, writes <c>name.to-client</c>.</summary>
    Server,

    /// <summary>Reads <c>name.to-client</c>, writes <c>name.to-server</c>.</summary>
    Client,
}

/// <summary>One side of a talk over two FIFOs. Each end is for one thread at a time; the
/// two may be used at once.</summary>
/// <remarks>Both sides sending without receiving fill both pipes and then wait for each
/// other: receive while you wait to send.</remarks>
public sealed class FifoDuplex : IDisposable, IAsyncDisposable
{
    internal FifoDuplex(MessageSender sender, MessageReceiver receiver)
    {
        Sender = sender;
        Receiver = receiver;
    }

    /// <summary>To the other side.</summary>
    public MessageSender Sender { get; }

    /// <summary>From the other side.</summary>
    public MessageReceiver Receiver { get; }

    /// <summary>Closes both ends.</summary>
    public void Dispose()
    {
        Sender.Dispose();
        Receiver.Dispose();
    }

    /// <summary>Closes both ends, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }
}
