namespace Otto.Ipc.Mmap.Doorbells;

/// <summary>Something that a waiter waits for, told from shared words alone; asked by any thread.</summary>
internal interface IReadiness
{
    /// <summary>
    /// Looks whether the waiting is over, and does first what would end it and has no one else to do it.
    /// </summary>
    bool Poll();
}
