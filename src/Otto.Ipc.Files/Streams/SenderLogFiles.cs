using System.Globalization;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// A lane is what one sender writes and the receiver reads: a directory with a log in pieces, each named by the position of its first byte,
// so that a piece and its successor need nothing else to find each other.
//
//  lanes/0/lock                         held by the sender as long as it lives
//  lanes/0/00000000000000000000.jsonl   a message a line
//  lanes/0/00000000000000016402.jsonl   the last one is appended to
//  lanes/0/read                         how far the receiver is, twice
//  lanes/0/completed                    there while its sender said that no more will come

internal readonly struct SenderLogFiles(string directory)
{
    private const int Digits = 20;
    private const string Extension = ".jsonl";

    public string Directory => directory;

    public string Lock => Path.Combine(directory, "lock");

    public string Read => Path.Combine(directory, "read");

    public string Completed => Path.Combine(directory, "completed");

    public bool IsCompleted => PrivateFiles.Status(Completed) is not null;

    public string SegmentPath(long position) => Path.Combine(directory, position.ToString("D20", CultureInfo.InvariantCulture) + Extension);

    /// <summary>The positions at which the pieces of the log begin, in order.</summary>
    public long[] Segments()
    {
        var positions = new List<long>();
        foreach (string name in RootDirectory.NamesIn(directory))
        {
            if (name.Length == Digits + Extension.Length && name.EndsWith(Extension, StringComparison.Ordinal)
                && long.TryParse(name.AsSpan(0, Digits), NumberStyles.None, CultureInfo.InvariantCulture, out long position))
                positions.Add(position);
        }

        positions.Sort();
        return [.. positions];
    }
}
