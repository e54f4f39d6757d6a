using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// What deaths leave: borrowed and held blocks of the dead, sent blocks whose message came to its end unsaid, files that somebody deleted.

internal sealed partial class LoanPool
{
    /// <summary>Looks for dead borrowers and holders, and for files that somebody has deleted.</summary>
    public void Look()
    {
        if (_participants.SweepDead() > 0) Collect();
        if (_segment.IsRetired || _segment.CheckStillLinked() || !Volatile.Read(ref _seated)) return;
        for (int i = 0; i < LooksAtFiles; i++)
        {
            int index = _looked++ % _blocks;
            if (_views[index] is not { } view || File.Exists(PoolLayout.BlockPath(_prefix, index, view.File))) continue;
            long word = Volatile.Read(ref Word(index));
            long writing = BlockWord.Make(BlockState.Writing, BlockWord.Generation(word), MyBit);
            if (BlockWord.State(word) == BlockState.Free && view.File == Volatile.Read(ref _map.Int(At(index) + PoolLayout.File))
                && Interlocked.CompareExchange(ref Word(index), writing, word) == word)
                GiveUp(index);
        }
    }

    /// <summary>Frees each block that was sent and that no message names any more: its message's last holder died between completing and freeing.</summary>
    public void Collect()
    {
        var sent = new List<(int Block, long Word)>();
        for (int i = 0; i < _blocks; i++)
        {
            long word = Volatile.Read(ref Word(i));
            if (BlockWord.State(word) == BlockState.Sent) sent.Add((i, word));
        }

        if (sent.Count == 0) return;
        // Seen as sent before the messages are looked at: a message that names it is there by now, or has come to its end.
        HashSet<(int, long)> references = [];
        if (!_references.AddReferences(references)) return; // the next look will know
        foreach ((int block, long word) in sent)
        {
            if (!references.Contains((block, BlockWord.Generation(word)))) End(new BlockDescriptor(block, Volatile.Read(ref _map.Int(At(block) + PoolLayout.File)), BlockWord.Generation(word), 0));
        }
    }

    /// <summary>Repairs what a dead participant held. Each step is one exact CAS, so several may do it at once.</summary>
    private void Repair(int dead, int me)
    {
        uint bit = 1u << dead;
        HashSet<(int, long)>? references = null;
        bool all = true;
        for (int i = 0; i < _blocks; i++)
        {
            while (Volatile.Read(ref Word(i)) is var word && (BlockWord.Holders(word) & bit) != 0)
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
                if (Interlocked.CompareExchange(ref Word(i), next, word) == word) break;
            }
        }

        bool IsReferenced(int block, long generation)
        {
            if (FaultPoints.Plants("loan.sweep.forgets-messages")) return false;
            if (references is null)
            {
                references = [];
                all = _references.AddReferences(references);
            }

            // Not known means that it may be: a block that is kept too long is collected later, one freed too early is another's bytes.
            return !all || references.Contains((block, generation));
        }
    }
}
