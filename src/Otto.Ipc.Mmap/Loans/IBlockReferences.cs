namespace Otto.Ipc.Mmap.Loans;

/// <summary>Names every block that a message of the channel speaks of.</summary>
internal interface IBlockReferences
{
    /// <summary>Adds each block that a committed message names, as it stands or stood after the call began.</summary>
    /// <returns>
    /// <see langword="false"/> where not every message could be looked at: then nothing is known of blocks that were
    /// not added.
    /// </returns>
    bool AddReferences(HashSet<(int Block, long Generation)> references);
}
