namespace Otto.Tools.Doctor;

// The directory of segments: whether it is there or can be made, whose it is, and on what kind of file system.

internal static class DirectoryCheck
{
    private const string Area = "directory";
    private static readonly string[] InMemory = ["tmpfs", "ramfs"];
    private static readonly string[] OverNetwork =
        ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs", "lustre", "afs", "virtiofs", "drvfs"];

    public static IEnumerable<Finding> Run(string directory)
    {
        uint me = KernelProbe.UserNumber;
        string existing = Existing(directory);
        if (KernelProbe.StatusOf(directory) is { } status)
        {
            yield return status switch
            {
                { Kind: PathKind.Link } => Finding.Problem(Area, "directory", $"{directory} is a symbolic link; links are not followed",
                    "name the directory that it leads to in OTTO_SHM_DIR"),
                { Kind: not PathKind.Directory } => Finding.Problem(Area, "directory", $"{directory} is not a directory",
                    $"remove that file, or name another directory in OTTO_SHM_DIR"),
                _ when status.Owner != me => Finding.Problem(Area, "directory",
                    $"{directory} belongs to user {status.Owner}; this program runs as user {me}",
                    "name a directory of this user in OTTO_SHM_DIR, or run as its owner"),
                _ when (status.Permissions & 0x12) != 0 => Finding.Problem(Area, "directory",
                    $"{directory} has mode {Octal(status.Permissions)}: other users can write to it", $"chmod 700 {directory}"),
                _ => Finding.Ok(Area, "directory", $"{directory} exists, owner {status.Owner}, mode {Octal(status.Permissions)}"),
            };
        }
        else
        {
            // A user with every right may write wherever the file system can be written to.
            yield return MachineFiles.MountOf(existing) is { ReadOnly: true } || !KernelProbe.MayWrite(existing)
                ? Finding.Problem(Area, "directory", $"{directory} does not exist, and cannot be created in {existing}",
                    "name a directory in OTTO_SHM_DIR that this user can write to, best on tmpfs")
                : Finding.Ok(Area, "directory", $"{directory} does not exist yet; the first program creates it");
        }

        if (MachineFiles.MountOf(existing) is { } mount) yield return OfMount(directory, mount);
    }

    /// <summary>Finds the nearest directory above a path, or the path itself, that exists.</summary>
    public static string Existing(string path)
    {
        while (KernelProbe.StatusOf(path) is null && Path.GetDirectoryName(path) is { } above) path = above;
        return path;
    }

    public static bool IsInMemory(string directory) =>
        MachineFiles.MountOf(Existing(directory)) is { } mount && InMemory.Contains(mount.Type);

    private static Finding OfMount(string directory, Mount mount)
    {
        if (mount.ReadOnly)
            return Finding.Problem(Area, "file-system", $"{mount.Point} ({mount.Type}) is mounted read-only",
                "mount a tmpfs and name a directory on it in OTTO_SHM_DIR");
        if (InMemory.Contains(mount.Type)) return Finding.Ok(Area, "file-system", $"{mount.Point} is in memory ({mount.Type})");
        return OverNetwork.Contains(mount.Type)
            ? Finding.Problem(Area, "file-system",
                $"{directory} is on {mount.Type}, a file system of another machine: memory and locks are not shared through it",
                $"name a directory on tmpfs in OTTO_SHM_DIR, such as {SystemPaths.SharedMemory}/otto-{KernelProbe.UserNumber}")
            : Finding.Note(Area, "file-system",
                $"{directory} is on a disk ({mount.Type}): changed pages are written to it, and segments survive a restart of the machine",
                $"for speed, name a directory on tmpfs in OTTO_SHM_DIR, such as {SystemPaths.SharedMemory}/otto-{KernelProbe.UserNumber}");
    }

    private static string Octal(int mode) => Convert.ToString(mode, 8);
}
