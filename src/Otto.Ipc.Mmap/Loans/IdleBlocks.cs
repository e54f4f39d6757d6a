namespace Otto.Ipc.Mmap.Loans;

// Free blocks keep their files for the next message of their size. What no process borrows for a while goes back to the file system, which
// other channels and programs use too.

internal sealed class IdleBlocks(BlockTable table, BlockFiles files, string path)
{
    // Rounds of maintenance, a second each. The second number applies if less than an eighth of the file system is free.
    private const int IdleRounds = 16, ShortRounds = 2;

    private readonly (long Word, int Rounds)[] _seen = new (long, int)[table.Count];

    /// <summary>Deletes the files of blocks that no process has used for some rounds.</summary>
    /// <returns>The blocks that have no file any more.</returns>
    public List<int> Drop()
    {
        List<int> dropped = [];
        if (files.KeptBytes() == 0) return dropped;
        var drive = new DriveInfo(Path.GetDirectoryName(path)!);
        int most = drive.AvailableFreeSpace < drive.TotalSize / 8 ? ShortRounds : IdleRounds;
        for (int i = 0; i < table.Count; i++)
        {
            // A word that is the same was not used: each use raises its generation.
            long word = Volatile.Read(ref table.Word(i));
            if (BlockWord.State(word) != BlockState.Free || Volatile.Read(ref table.Size(i)) == 0) continue;
            _seen[i] = (word, _seen[i].Word == word ? _seen[i].Rounds + 1 : 0);
            if (_seen[i].Rounds < most) continue;
            files.DropIdle(i, word);
            if (Volatile.Read(ref table.Size(i)) == 0) dropped.Add(i);
        }

        return dropped;
    }
}
