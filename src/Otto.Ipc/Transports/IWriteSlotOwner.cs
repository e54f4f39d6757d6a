namespace Otto.Ipc.Transports;

// A slot is a struct: its owner, not the copies, knows whether it is still open.

/// <summary>For transports: is notified of what became of a <see cref="WriteSlot"/>.</summary>
public interface IWriteSlotOwner
{
    /// <summary>Publishes a slot.</summary>
    /// <param name="token">What the slot was made with.</param>
    /// <param name="bytes">How many bytes were written.</param>
    /// <returns><see langword="false"/> if the slot is no longer open.</returns>
    bool Commit(in SlotToken token, int bytes);

    /// <summary>Takes a slot back unsent; does nothing if it is no longer open.</summary>
    /// <param name="token">What the slot was made with.</param>
    void Abort(in SlotToken token);
}
