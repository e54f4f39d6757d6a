namespace Otto.Ipc.Transports;

// A lease is a struct: its owner, not the copies, knows whether it has ended.

/// <summary>For transports: is notified that a <see cref="ReadLease"/> ended.</summary>
public interface IReadLeaseOwner
{
    /// <summary>Counts a message as read; does nothing if its lease has ended.</summary>
    /// <param name="token">What the lease was made with.</param>
    void Release(in SlotToken token);
}
