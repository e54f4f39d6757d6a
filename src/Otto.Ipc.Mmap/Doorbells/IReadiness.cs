namespace Otto.Ipc.Mmap.Doorbells;

/// <summary>
/// A condition that a waiter waits for. It depends on shared words alone, and any thread may poll it.
/// </summary>
internal interface IReadiness
{
    /// <summary>
    /// Checks whether the waiting is over. Before that, it does the work that would end the waiting and that no other
    /// thread or process does.
    /// </summary>
    bool Poll();
}
