using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// What deaths leave: borrowed and held blocks of the dead, and sent blocks whose message came to its end unsaid.

internal sealed class LoanRecovery(BlockTable table, IBlockReferences references)
{
    /// <summary>
    /// Finds each block that was sent and that no message names any more: its message's last holder died between
    /// completing and freeing. The caller
    /// ends them.
    /// </summary>
    public List<BlockDescriptor> FindUnreferenced()
    {
        var sent = new List<(int Block, long Word)>();
        for (int i = 0; i < table.Count; i++)
        {
            long word = Volatile.Read(ref table.Word(i));
            if (BlockWord.State(word) == BlockState.Sent) sent.Add((i, word));
        }

        if (sent.Count == 0) return [];
        // Seen as sent before the messages are looked at: a message that names it is there by now, or has come to its end.
        HashSet<(int, long)> named = [];
        if (!references.AddReferences(named)) return []; // the next look will know
        return
        [
            .. sent.Where(block => !named.Contains((block.Block, BlockWord.Generation(block.Word))))
                .Select(block => new BlockDescriptor(block.Block, Volatile.Read(ref table.File(block.Block)),
                    BlockWord.Generation(block.Word), 0)),
        ];
    }

    /// <summary>
    /// Repairs what a dead participant held. Each step is one exact CAS, so several may do it at once.
    /// </summary>
    public void Repair(int dead, int me)
    {
        uint bit = 1u << dead;
        HashSet<(int, long)>? named = null;
        bool all = true;
        for (int i = 0; i < table.Count; i++)
        {
            while (Volatile.Read(ref table.Word(i)) is var word && (BlockWord.Holders(word) & bit) != 0)
            {
                long generation = BlockWord.Generation(word);
                uint rest = BlockWord.Holders(word) & ~bit;
                long next = BlockWord.State(word) switch
                {
                    BlockState.Sent => BlockWord.Make(BlockState.Sent, generation, rest),
                    BlockState.Held when rest != 0 => BlockWord.Make(BlockState.Held, generation, rest),
                    // It stopped between naming the block and saying that it had; its message tells.
                    BlockState.Sending when IsReferenced(i, generation) => BlockWord.Make(BlockState.Sent, generation, 0),
                    _ => BlockWord.Make(BlockState.Free, generation + 1, 0),
                };
                if (FaultPoints.On) FaultPoints.Reach("loan.sweep.before");
                if (Interlocked.CompareExchange(ref table.Word(i), next, word) == word) break;
            }
        }

        bool IsReferenced(int block, long generation)
        {
            if (FaultPoints.Plants("loan.sweep.forgets-messages")) return false;
            if (named is null)
            {
                named = [];
                all = references.AddReferences(named);
            }

            // Not known means that it may be: a block that is kept too long is collected later, one freed too early is another's bytes.
            return !all || named.Contains((block, generation));
        }
    }
}
