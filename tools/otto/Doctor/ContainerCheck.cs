namespace Otto.Tools.Doctor;

// What a container changes: its shared memory is small and its own, and numbers of processes and users mean something else outside.

internal static class ContainerCheck
{
    private const string Area = "container";

    public static IEnumerable<Finding> Run(string directory)
    {
        bool memory = directory.StartsWith(SystemPaths.SharedMemory + "/", StringComparison.Ordinal);
        if (MachineFiles.Container is { } container)
        {
            yield return Finding.Note(Area, "container", memory
                ? $"{container}: {SystemPaths.SharedMemory} is this container's own, unless it is mounted from outside"
                : $"{container}: other containers see {directory} only if it is a volume of theirs too",
                memory ? "to share queues with other containers, mount one tmpfs in all and name it in OTTO_SHM_DIR" : null);
        }

        if (MachineFiles.HasOwnPidNamespace)
            yield return Finding.Ok(Area, "pid-namespace",
                "a pid namespace of its own: queues work across it, and pids of other namespaces are shown for reading only");
        if (MachineFiles.HasOwnUserNamespace)
            yield return Finding.Note(Area, "user-namespace",
                $"a user namespace: user {KernelProbe.UserNumber} here is another number outside",
                "processes share a directory only if it belongs to the same user for each of them");
        if (MachineFiles.HasShiftedClock)
            yield return Finding.Ok(Area, "time-namespace", "a time namespace with a shifted clock: ages and delays are corrected for it");
        if (MachineFiles.IsWindowsSubsystem)
            yield return Finding.Note(Area, "wsl", "Windows Subsystem for Linux: known from its documentation only, not tested",
                "use WSL 2, and a directory of Linux, not one below /mnt");
    }

    /// <summary>Gets the setting of a container by which its shared memory becomes larger.</summary>
    public static string MoreSpace(string container) => container switch
    {
        "Kubernetes" => "mount an emptyDir with medium: Memory and a sizeLimit at " + SystemPaths.SharedMemory,
        "Docker" => "docker run --shm-size=1g, or shm_size: 1g in a compose file",
        "Podman" => "podman run --shm-size=1g",
        _ => $"mount a larger tmpfs at {SystemPaths.SharedMemory}",
    };
}
