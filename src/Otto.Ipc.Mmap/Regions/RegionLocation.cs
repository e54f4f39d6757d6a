using System.Globalization;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Regions;

// Where a task's region lies. The rules live here alone, so that a library call and a tool in a shell script find the same file.

/// <summary>Describes which region is meant: a task's name and, if needed, its file or the process of its
/// run.</summary>
/// <remarks>
/// The file is, in this order: <see cref="FilePath"/>; the one of <see cref="ProcessId"/>
/// where that is set; the environment's
/// <c>OTTO_MMAP_PATH</c>, which a run exports; else <c>otto-&lt;pid&gt;-&lt;task&gt;</c> in
/// <see cref="Directory"/>, where the pid is
/// <c>OTTO_PID</c>, or that of the nearest process, from this one up through its ancestors, for which the file exists,
/// or, when a write creates it, the parent's.
/// </remarks>
public sealed record RegionLocation
{
    /// <summary>A run exports the path of its region under this name.</summary>
    public const string PathVariable = "OTTO_MMAP_PATH";

    /// <summary>The directory of regions, where it is not <c>/dev/shm</c>.</summary>
    public const string DirectoryVariable = "OTTO_MMAP_DIR";

    /// <summary>The pid of the run.</summary>
    public const string ProcessVariable = "OTTO_PID";

    private const int MaxAncestors = 256;

    /// <summary>Names a task's region.</summary>
    /// <param name="task">The task.</param>
    public RegionLocation(ChannelName task) => Task = new ChannelName(task.Value);

    /// <summary>The task whose region this is.</summary>
    public ChannelName Task { get; }

    /// <summary>The exact file; relative paths count from the current directory.</summary>
    public string? FilePath { get; init; }

    /// <summary>The pid of the run.</summary>
    public int? ProcessId { get; init; }

    /// <summary>The directory of regions, instead of <c>OTTO_MMAP_DIR</c> or <c>/dev/shm</c>.</summary>
    public string? Directory { get; init; }

    /// <summary>Finds the file that a read means.</summary>
    /// <returns>The path if it is certain, whether or not the file exists; <see langword="null"/> if the ancestors
    /// were searched and none has the region.</returns>
    /// <exception cref="ArgumentException">A pid or path, given or in the environment, cannot be one.</exception>
    public string? Find()
    {
        if (Certain() is { } path) return path;
        int pid = Environment.ProcessId;
        for (int i = 0; i < MaxAncestors && pid > 0; i++, pid = ProcessIdentity.ParentOf(pid))
            if (PrivateFiles.Status(PathFor(pid)) is not null)
                return PathFor(pid);
        return null;
    }

    /// <summary>Finds the file that a creating write means: the existing one, else the one
    /// of the parent process.</summary>
    /// <returns>The path.</returns>
    /// <exception cref="ArgumentException">A pid or path, given or in the environment, cannot be one.</exception>
    public string FindOrName() => Find() ?? PathFor(ProcessIdentity.ParentId);

    /// <summary>Describes the places that were searched, for an error message.</summary>
    internal string Describe() => $"{Path.Combine(DirectoryOrDefault(), $"otto-<pid>-{Task}")} for this process and its ancestors";

    private string? Certain()
    {
        if (FilePath is not null) return FullPath(FilePath, nameof(FilePath));
        if (ProcessId is { } given) return PathFor(Checked(given, nameof(ProcessId)));
        if (Variable(PathVariable) is { } exported) return FullPath(exported, PathVariable);
        if (Variable(ProcessVariable) is not { } text) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
            ? PathFor(Checked(pid, ProcessVariable))
            : throw new ArgumentException($"{ProcessVariable} is not a pid: '{text}'");
    }

    private string PathFor(int pid) =>
        Path.Combine(DirectoryOrDefault(), string.Create(CultureInfo.InvariantCulture, $"otto-{pid}-{Task.Value}"));

    private string DirectoryOrDefault() => Path.GetFullPath(Directory ?? Variable(DirectoryVariable) ?? SegmentStore.MemoryDirectory);

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static int Checked(int pid, string source) =>
        pid > 0 ? pid : throw new ArgumentException($"{source} must be a pid, 1 or more: {pid}");

    private static string FullPath(string path, string source) =>
        path.Length > 0 && !path.Contains('\0', StringComparison.Ordinal)
            ? Path.GetFullPath(path)
            : throw new ArgumentException($"{source} is not a path: it is empty or holds U+0000");
}
