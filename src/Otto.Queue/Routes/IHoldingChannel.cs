using Otto.Ipc;

namespace Otto.Queue;

// Optional: with it a durable task is handed over as an object and survives this process all the same.

/// <summary>A <see cref="TaskChannel"/> that can store a task which this process works on itself.</summary>
public interface IHoldingChannel
{
    /// <summary>Stores an envelope that this process will work on itself: held from the start and never ready, unless
    /// this process dies.</summary>
    /// <param name="message">The envelope.</param>
    /// <param name="terms">What goes with it; a delay makes no sense here.</param>
    /// <param name="lease">The envelope as a lease.</param>
    /// <returns>What became of it; <see cref="SendOutcome.Full"/> if there is no room.</returns>
    SendResult TrySendAndLease(ReadOnlySpan<byte> message, in SendOptions terms, out WorkLease lease);
}
