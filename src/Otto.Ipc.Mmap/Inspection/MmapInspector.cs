using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Inspection;

// The way in for people and tools: what is there, and what of it nobody needs. Looking attaches to nothing, so it can be done at any time.

/// <summary>Inspects the segments of a directory from outside, and removes those that no process needs.</summary>
/// <remarks>
/// An inspection opens files for reading only. It takes no part in a channel, delays no process and changes nothing.
/// Whatever a segment contains, an inspection ends with a report. Safe for any number of threads.
/// </remarks>
public sealed class MmapInspector
{
    private readonly string? _configured;

    /// <summary>Creates the inspector. Nothing is inspected yet.</summary>
    /// <param name="options">Where segments live; left out, the user's own directory in shared memory.</param>
    public MmapInspector(MmapTransportOptions? options = null) => _configured = options?.Directory;

    /// <summary>Gets the directory that is inspected. It may not exist yet.</summary>
    public string Directory => SegmentDirectory.PathOf(_configured);

    /// <summary>Inspects every segment, and the regions that are stored among them.</summary>
    /// <returns>The reports by name; empty if there is no directory.</returns>
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

    /// <summary>Inspects the segments of one name.</summary>
    /// <param name="name">A channel's name, which can be that of a stream, a queue and a
    /// topic at once, or the name of a file.</param>
    /// <returns>The reports; empty if there is none.</returns>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    public IReadOnlyList<SegmentReport> Find(string name) =>
        [.. List().Where(report => report.Name == name || Path.GetFileName(report.Path) == name
        || (report.Contents is PoolContents pool && Path.GetFileNameWithoutExtension(pool.Channel) == name))];

    /// <summary>Removes the segments that no process has open and that hold no pending work.</summary>
    /// <param name="options">What to remove. If left out, only what no process can miss.</param>
    /// <returns>What was done with each segment, and why.</returns>
    /// <remarks>
    /// No process has a segment open if no process holds its lock. The kernel reports this; it is not a guess by age.
    /// What a segment holds is inspected again while no process can open it. A topic's messages do not count as pending
    /// work. Regions are left: no lock indicates whether their run is over.
    /// </remarks>
    /// <exception cref="UnauthorizedAccessException">The directory is not this user's alone.</exception>
    public IReadOnlyList<CleanReport> Clean(CleanOptions? options = null)
    {
        options ??= new CleanOptions();
        // Channels first: a pool that its channel leaves behind has nobody to come back for it.
        IReadOnlyList<SegmentReport> reports = options.Name is { } name ? Find(name) : List();
        return [.. reports.OrderBy(report => report.Kind).Select(report => SegmentCleaner.Clean(report, options))];
    }

    internal static IEnumerable<string> FilesOf(string directory)
    {
        try
        {
            return System.IO.Directory.GetFiles(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return []; // it was removed in the meantime
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
            Problem = $"{paths.Count:N0} files of blocks whose pool was removed",
        };
    }
}
