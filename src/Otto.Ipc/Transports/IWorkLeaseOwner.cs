namespace Otto.Ipc.Transports;

// A lease is a struct: its owner, not the copies, knows whether it has ended.

/// <summary>For transports: is notified of how a <see cref="WorkLease"/> ended.</summary>
public interface IWorkLeaseOwner
{
    /// <summary>Ends a lease as done.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Complete(in SlotToken token);

    /// <summary>Ends a lease as done and keeps its result.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="result">The result.</param>
    /// <returns>Whether the lease was still held.</returns>
    /// <exception cref="NotSupportedException">The queue keeps no results.</exception>
    bool Complete(in SlotToken token, ReadOnlySpan<byte> result) => throw new NotSupportedException("this queue keeps no results");

    /// <summary>Ends a lease by leaving the message to workers that take its subject.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="subject">The subject.</param>
    /// <returns>Whether the lease was still held.</returns>
    /// <exception cref="NotSupportedException">The queue does not know subjects.</exception>
    bool PassOver(in SlotToken token, ulong subject) => throw new NotSupportedException("this queue cannot pass over messages");

    /// <summary>Ends a lease by giving the message back.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="countAttempt">Whether the try counts.</param>
    /// <param name="delay">How long no worker gets it.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Abandon(in SlotToken token, bool countAttempt, TimeSpan delay);

    /// <summary>Ends a lease by giving the message back as new: no attempt was made.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="delay">How long no worker gets it.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool Repeat(in SlotToken token, TimeSpan delay);

    /// <summary>Keeps a lease's payload beyond the lease.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="payload">The payload as the lease has it.</param>
    /// <returns>The bytes, and the owner to notify once they are not needed.</returns>
    /// <exception cref="InvalidOperationException">The lease has ended.</exception>
    PayloadRetention Retain(in SlotToken token, ReadOnlyMemory<byte> payload);

    /// <summary>Whether a process asked to cancel the message while it was held.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <returns><see langword="false"/> if no process did, or the queue cannot know.</returns>
    bool IsCancelRequested(in SlotToken token) => false;

    /// <summary>Notes how the holder works on the message, for the case that it dies.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="handling">How.</param>
    void SetHandling(in SlotToken token, WorkHandling handling)
    {
    }

    /// <summary>Gets what happened to the message in earlier leases.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <returns>What the queue knows.</returns>
    DeliveryHistory GetHistory(in SlotToken token) => default;

    /// <summary>Ends a lease by giving the message up.</summary>
    /// <param name="token">What the lease was made with.</param>
    /// <param name="reason">Why.</param>
    /// <returns>Whether the lease was still held.</returns>
    bool DeadLetter(in SlotToken token, string reason);
}
