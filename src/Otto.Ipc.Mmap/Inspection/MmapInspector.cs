using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Inspection;

// The way in for people and tools: what is there, and what of it nobody needs. Looking attaches to nothing, so it can be done at any time.

/// <summary>Looks at the segments of a directory from outside, and removes those that nobody needs.</summary>
/// <remarks>
/// Looking opens files for reading only: it takes no part, holds nothing up, and changes nothing. Whatever stands in a
/// segment, a look ends with a report. Safe for any number of threads.
/// </remarks>
public sealed class MmapInspector
{
    private readonly string? _configured;

    /// <summary>Makes the inspector; nothing is looked at yet.</summary>
    /// <param name="options">Where segments live; left out, the user's own directory in shared memory.</param>
    public MmapInspector(MmapTransportOptions? options = null) => _configured = options?.Directory;

    /// <summary>The directory that is looked at; it may not exist yet.</summary>
    public string Directory => SegmentDirectory.PathOf(_configured);

    /// <summary>Looks at every segment, and at the regions that lie among them.</summary>
    /// <returns>The reports by name; empty where there is no directory.</returns>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    public IReadOnlyList<SegmentReport> List()
    {
        string directory = Directory;
        if (!SegmentDirectory.Check(directory)) return [];
        var reports = new List<SegmentReport>();
        var pools = new HashSet<string>();
        foreach (string path in FilesOf(directory))
        {
            if (PoolInspector.PoolOf(Path.GetFileName(path)) is { } pool) pools.Add(pool);
            else if (SegmentInspector.At(path) is { } report) reports.Add(report);
        }

        for (int i = 0; i < reports.Count; i++)
        {
            if (reports[i].Kind == SegmentKind.Pool && pools.Remove(reports[i].Name))
                reports[i] = reports[i] with { Bytes = reports[i].Bytes + PoolInspector.BlocksOf(directory, reports[i].Name).Bytes };
        }

        reports.AddRange(pools.Select(pool => LeftBlocks(directory, pool)).OfType<SegmentReport>());
        return [.. reports.OrderBy(report => report.Name, StringComparer.Ordinal).ThenBy(report => report.Kind)];
    }

    /// <summary>Looks at the segments of one name.</summary>
    /// <param name="name">A channel's name, which can be that of a stream, a queue and a
    /// topic at once, or the name of a file.</param>
    /// <returns>The reports; empty where there is none.</returns>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    public IReadOnlyList<SegmentReport> Find(string name) =>
        [.. List().Where(report => report.Name == name || Path.GetFileName(report.Path) == name
        || (report.Contents is PoolContents pool && Path.GetFileNameWithoutExtension(pool.Channel) == name))];

    /// <summary>Removes the segments that nobody has open and that hold nothing undone.</summary>
    /// <param name="options">What to remove; left out, only what nobody can miss.</param>
    /// <returns>What was done with each segment, and why.</returns>
    /// <remarks>
    /// Nobody has a segment open when nobody holds its lock; that is the kernel's word, not a guess by age. What a
    /// segment holds is looked at again while nobody can come in. A topic's news counts as
    /// nothing undone. Regions are left: no lock says whether their run is over.
    /// </remarks>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    public IReadOnlyList<CleanReport> Clean(CleanOptions? options = null)
    {
        options ??= new CleanOptions();
        // Channels first: a pool that its channel leaves behind has nobody to come back for it.
        return [.. List().OrderBy(report => report.Kind).Select(report => SegmentCleaner.Clean(report, options))];
    }

    internal static IEnumerable<string> FilesOf(string directory)
    {
        try
        {
            return System.IO.Directory.GetFiles(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return []; // it went away meanwhile
        }
    }

    /// <summary>Blocks whose pool is gone: a removal was stopped between the two.</summary>
    private static SegmentReport? LeftBlocks(string directory, string pool)
    {
        (List<string> paths, long bytes) = PoolInspector.BlocksOf(directory, pool);
        if (paths.Count == 0 || File.Exists(Path.Combine(directory, pool + ".pool"))) return null;
        return new SegmentReport
        {
            Name = pool,
            Kind = SegmentKind.Pool,
            Path = Path.Combine(directory, pool + ".pool"),
            Bytes = bytes,
            Owner = Platform.ProcessIdentity.UserId,
            Condition = SegmentCondition.Retired,
            Problem = $"{paths.Count:N0} files of blocks whose pool is gone",
        };
    }
}
