using System.Text.RegularExpressions;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// Where a subject's channels live while they are probed, and what runs there.

/// <summary>A place for channels, gone when it is disposed.</summary>
internal abstract partial class Workspace : IDisposable
{
    /// <summary>What an end needs to find the place.</summary>
    public abstract string Address { get; }

    /// <summary>The process that stands between the ends, where there is one.</summary>
    public virtual int? ServerId => null;

    /// <summary>The kind of file system under it, such as <c>tmpfs</c>;
    /// <see langword="null"/> where nothing is kept.</summary>
    public virtual string? FileSystem => null;

    /// <summary>Kills what stands between the ends, without a warning, and starts it again with what it kept.</summary>
    /// <returns>What was done, for the evidence; <see langword="null"/> where nothing stands there.</returns>
    public virtual string? KillServer() => null;

    /// <summary>Text without the paths of places, which are of one run alone.</summary>
    public static string Forget(string text) => ScratchPath().Replace(text, "…");

    public abstract void Dispose();

    [GeneratedRegex(@"(/[\w.-]+)+/otto-bench-[\w-]+")]
    private static partial Regex ScratchPath();
}

/// <summary>A directory of one's own.</summary>
internal sealed class DirectoryWorkspace : Workspace
{
    private static readonly string[] InMemory = ["tmpfs", "ramfs"];
    private readonly DirectoryInfo _directory;

    /// <param name="disk">Whether it must lie on a disk; else it lies in memory, where
    /// there is such a file system.</param>
    public DirectoryWorkspace(bool disk) => _directory = Interruption.NewDirectory(disk ? OnDisk() : Interruption.InMemory);

    public override string Address => _directory.FullName;

    public override string FileSystem => FormatOf(Address);

    public static bool IsInMemory(string fileSystem) => InMemory.Contains(fileSystem);

    public override void Dispose() => Interruption.Remove(_directory);

    /// <summary>A directory that is not in memory, where there is one.</summary>
    private static string OnDisk() =>
        ((string[])[Path.GetTempPath(), "/var/tmp", Environment.CurrentDirectory]).FirstOrDefault(
            d => Directory.Exists(d) && !IsInMemory(FormatOf(d))) ?? Path.GetTempPath();

    private static string FormatOf(string path)
    {
        try
        {
            return new DriveInfo(path).DriveFormat;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "unknown";
        }
    }
}
