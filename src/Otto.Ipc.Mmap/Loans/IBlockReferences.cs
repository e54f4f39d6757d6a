namespace Otto.Ipc.Mmap.Loans;

/// <summary>Names every block that a message of the channel speaks of.</summary>
internal interface IBlockReferences
{
    /// <summary>
    /// Adds each block that a committed message names, as the message is or was after the call began.
    /// </summary>
    /// <returns>
    /// <see langword="true"/> if every message could be read; otherwise, <see langword="false"/>. Then nothing is known
    /// of blocks that were not added.
    /// </returns>
    bool AddReferences(HashSet<(int Block, long Generation)> references);
}
