namespace Otto.Ipc.Mmap.Doorbells;

// An end that follows the other message by message takes the line of its tail or head away for each, and both then wait for that line most
// of the time. So after a burst it stays away for a moment: some microseconds, a tenth of what a sleep costs.

/// <summary>Lets messages, or room for them, accumulate in a ring before an end polls again.</summary>
internal readonly struct BatchingPause
{
    private const int BurstMessages = 32;
    private const int Spins = 100;
    private const long LeastCapacity = 256 << 10; // What comes meanwhile is a small part of such a ring.
    private readonly bool _on;

    /// <param name="capacity">Bytes of the ring.</param>
    /// <param name="spinLimit">The longest spin that is allowed; where none is, or where it
    /// is of no use, nothing gathers.</param>
    public BatchingPause(long capacity, TimeSpan spinLimit) =>
        _on = capacity >= LeastCapacity && spinLimit > TimeSpan.Zero && Environment.ProcessorCount > 1;

    /// <summary>Before a receiver waits that took so many messages since it last did.</summary>
    public void AfterTaking(long messages)
    {
        if (messages >= BurstMessages) OfRoom();
    }

    /// <summary>Before a sender waits that met a full ring.</summary>
    public void OfRoom()
    {
        if (_on) Thread.SpinWait(Spins);
    }
}
