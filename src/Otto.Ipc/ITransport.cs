namespace Otto.Ipc;

// A shape (stream, queue, topic, store) is what is exchanged; a transport offers a shape by implementing its interface.

/// <summary>
/// Moves messages between processes, such as by shared memory. It offers a shape by implementing the interface of the
/// shape.
/// </summary>
/// <remarks>
/// Safe for use by several threads. Disposing it closes nothing that was opened through it: each end is its opener's
/// to dispose.
/// </remarks>
public interface ITransport : IAsyncDisposable
{
    /// <summary>The name by which configuration chooses this transport, such as <c>mmap</c>.</summary>
    string Name { get; }

    /// <summary>The properties of this transport, as rows of the comparison table.</summary>
    TransportTraits Traits { get; }
}
